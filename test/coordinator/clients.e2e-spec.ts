import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { APICallError, embed, generateText, streamText } from 'ai';
import OpenAI, { APIUserAbortError, BadRequestError, InternalServerError, NotFoundError } from 'openai';
import { nothingHeld, startCoordinatedPair, type CoordinatedPair } from '../support/coordinated-pair.js';
import { eventually } from '../support/eventually.js';

const PROMPT = 'Tell me a story about a fox named Ivy and a silver key.';
const messages = [{ role: 'user' as const, content: PROMPT }];
const [model, temperature] = ['sim', 0];
const MANAGER = 'prefill-remote-decode-remote';

/** A pace at which somebody can leave in the middle of an answer. */
const SLOW = [{ kind: 'slow', at: 'token', ms: 20 }];
const FAILS_MID_STREAM = [{ kind: 'error_frame', where: 'decode', afterTokens: 4 }];

describe('clients of the field, unmodified, in front of a coordinator and two vLLM servers', () => {
  let pair: CoordinatedPair;

  beforeAll(async () => {
    pair = await startCoordinatedPair();
  });
  afterAll(() => pair.stop());
  afterEach(async () => {
    await Promise.all([pair.prefill.misbehave([]), pair.decode.misbehave([])]);
    await nothingHeld([pair.prefill, pair.decode]);
    await eventually('the coordinator holds nothing', async () => {
      const metric = await pair.coordinator.metrics();
      return metric('baton_handoffs_open') === 0 && metric('baton_inflight_requests') === 0;
    });
    await Promise.all([pair.prefill.forget(), pair.decode.forget()]);
  });

  /** The side whose leg ran has noticed that nobody wants its answer any more. */
  const wasAbortedOn = (side: 'prefill' | 'decode'): Promise<number> =>
    eventually(`the ${side} leg is aborted`, async () =>
      ((await pair[side].get('requests')) as unknown as { leg: string; outcome: string }[]).some(
        ({ leg, outcome }) => leg === side && outcome === 'aborted',
      ),
    );

  describe('openai', () => {
    let client: OpenAI;
    /** One server, which answers the whole: what the two have to give together. */
    let alone: OpenAI;

    beforeAll(() => {
      client = new OpenAI({ baseURL: `${pair.coordinator.url}/v1`, apiKey: 'unused', maxRetries: 0 });
      alone = new OpenAI({ baseURL: `${pair.decode.url}/v1`, apiKey: 'unused', maxRetries: 0 });
    });

    it('lists the models of the servers', async () => {
      expect((await client.models.list()).data.map(({ id }) => id)).toEqual([model]);
      expect(await client.models.retrieve(model)).toMatchObject({ id: model, object: 'model' });
    });

    it('completes, streamed and not', async () => {
      const body = { model, prompt: PROMPT, max_tokens: 12, temperature };
      const expected = await alone.completions.create(body);
      const { data, response } = await client.completions.create(body).withResponse();
      expect(response.headers.get('x-baton-manager')).toBe(MANAGER);
      expect(data.choices[0]).toMatchObject({ text: expected.choices[0]!.text, finish_reason: 'length', index: 0 });
      expect(data.usage).toEqual(expected.usage);

      let text = '';
      for await (const chunk of await client.completions.create({ ...body, stream: true })) {
        text += chunk.choices[0]!.text;
      }
      expect(text).toBe(expected.choices[0]!.text);
    });

    it('chats, streamed and not, with one usage chunk', async () => {
      const body = { model, messages, max_completion_tokens: 12, temperature };
      const expected = await alone.chat.completions.create(body);
      const { data, response } = await client.chat.completions.create(body).withResponse();
      expect(response.headers.get('x-baton-manager')).toBe(MANAGER);
      expect(data.choices[0]).toMatchObject({
        finish_reason: 'length',
        message: { role: 'assistant', content: expected.choices[0]!.message.content },
      });
      expect(data.usage).toEqual(expected.usage);

      const chunks = [];
      const stream = await client.chat.completions.create({
        ...body,
        stream: true,
        stream_options: { include_usage: true },
      });
      for await (const chunk of stream) chunks.push(chunk);
      expect(chunks[0]!.choices[0]!.delta.role).toBe('assistant');
      expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe(
        expected.choices[0]!.message.content,
      );
      expect(chunks.filter(({ usage }) => usage !== undefined && usage !== null)).toHaveLength(1);
      expect(chunks.at(-1)).toMatchObject({ choices: [], usage: expected.usage });
      expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
    });

    it('stops where the model does, and at a stop string', async () => {
      const ends = { model, messages: [{ role: 'user' as const, content: `${PROMPT} <eos:5>` }], temperature };
      const ended = await client.chat.completions.create(ends);
      expect(ended.choices[0]!.finish_reason).toBe('stop');
      const content = ended.choices[0]!.message.content!;
      expect(content).toBe((await alone.chat.completions.create(ends)).choices[0]!.message.content);

      const [first, second, third] = content.trim().split(' ');
      const stopped = await client.chat.completions.create({ ...ends, stop: [third!] });
      expect(stopped.choices[0]).toMatchObject({ finish_reason: 'stop' });
      expect(stopped.choices[0]!.message.content!.trim()).toBe(`${first} ${second}`);
    });

    it('gives n choices, from one server', async () => {
      const { data, response } = await client.chat.completions
        .create({ model, messages, n: 2, max_tokens: 6, temperature: 1, seed: 3 })
        .withResponse();
      expect(response.headers.get('x-baton-manager')).toBe('remote');
      expect(data.choices.map(({ index, finish_reason }) => [index, finish_reason])).toEqual([
        [0, 'length'],
        [1, 'length'],
      ]);
      expect(data.choices[0]!.message.content).not.toBe(data.choices[1]!.message.content);
      expect(await pair.prefill.get('requests')).toEqual([]);
    });

    it('gives log probabilities', async () => {
      const body = { model, messages, max_tokens: 4, temperature, logprobs: true, top_logprobs: 2 };
      const { choices } = await client.chat.completions.create(body);
      expect(choices[0]!.logprobs!.content).toHaveLength(4);
      expect(choices[0]!.logprobs).toEqual((await alone.chat.completions.create(body)).choices[0]!.logprobs);

      const completion = { model, prompt: PROMPT, max_tokens: 4, temperature, logprobs: 2 };
      const expected = await alone.completions.create(completion);
      expect((await client.completions.create(completion)).choices[0]!.logprobs).toEqual(expected.choices[0]!.logprobs);
    });

    it('raises its own errors: what the request has wrong, and what the servers refuse', async () => {
      const refused = client.chat.completions.create({ model, messages, max_tokens: 0 });
      await expect(refused).rejects.toBeInstanceOf(BadRequestError);
      await expect(refused).rejects.toMatchObject({ status: 400, type: 'invalid_request_error' });
      const unknown = client.chat.completions.create({ model: 'gpt-17', messages });
      await expect(unknown).rejects.toBeInstanceOf(NotFoundError);
    });

    it.each(['prefill', 'decode'] as const)('raises a failure of %s before the first token', async (side) => {
      for (const stream of [true, false]) {
        // Once: what P holds then is freed by a decode that is sent for nothing else.
        await pair[side].misbehave([{ kind: 'http_status', status: 500, where: side, times: 1 }]);
        const failed = client.chat.completions.create({ model, messages, stream });
        await expect(failed).rejects.toBeInstanceOf(InternalServerError);
        await expect(failed).rejects.toMatchObject({ status: 502, code: 'remote_failed' });
        await nothingHeld([pair.prefill, pair.decode]);
      }
    });

    it('raises a failure in the middle of a stream, after what came before it', async () => {
      await pair.decode.misbehave(FAILS_MID_STREAM);
      let text = '';
      const read = async (): Promise<void> => {
        const stream = await client.chat.completions.create({ model, messages, stream: true, max_tokens: 9 });
        for await (const chunk of stream) text += chunk.choices[0]!.delta.content ?? '';
      };
      await expect(read()).rejects.toMatchObject({ code: 'upstream_error_event', type: 'server_error' });
      expect(text.trim().split(' ')).toHaveLength(4);
    });

    it('aborts in the middle of a stream', async () => {
      await pair.decode.misbehave(SLOW);
      let chunks = 0;
      for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) {
        expect(chunk.choices).toHaveLength(1);
        if ((chunks += 1) === 4) break;
      }
      await wasAbortedOn('decode');
    });

    it('aborts before the answer', async () => {
      await pair.prefill.misbehave([{ kind: 'hang', at: 'prefill', where: 'prefill' }]);
      const abort = new AbortController();
      const answer = client.chat.completions.create({ model, messages }, { signal: abort.signal });
      const rejected = expect(answer).rejects.toBeInstanceOf(APIUserAbortError);
      await eventually('P reads the prompt', async () => (await pair.prefill.get('state'))['running'] === 1);
      abort.abort();
      await rejected;
      await wasAbortedOn('prefill');
      expect(await pair.decode.get('requests')).toEqual([]);
    });
  });

  describe('@ai-sdk/openai-compatible', () => {
    const settings = { name: 'baton', apiKey: 'unused', includeUsage: true };
    const at = (url: string) => createOpenAICompatible({ ...settings, baseURL: `${url}/v1` });
    const ask = { prompt: PROMPT, maxOutputTokens: 12, temperature, maxRetries: 0 } as const;

    it('generates text, by chat and by completions', async () => {
      const [baton, alone] = [at(pair.coordinator.url), at(pair.decode.url)];
      for (const kind of ['chatModel', 'completionModel'] as const) {
        const answer = await generateText({ model: baton[kind](model), ...ask });
        const expected = await generateText({ model: alone[kind](model), ...ask });
        expect(answer.text).toBe(expected.text);
        expect(answer.finishReason).toBe('length');
        expect(answer.usage).toEqual(expected.usage);
        expect(answer.usage.outputTokens).toBe(12);
        expect(answer.response.headers).toMatchObject({ 'x-baton-manager': MANAGER });
      }
    });

    it('streams text, with usage at its end', async () => {
      for (const kind of ['chatModel', 'completionModel'] as const) {
        const expected = await generateText({ model: at(pair.decode.url)[kind](model), ...ask });
        const result = streamText({ model: at(pair.coordinator.url)[kind](model), ...ask });
        const pieces = [];
        for await (const piece of result.textStream) pieces.push(piece);
        expect(pieces).toHaveLength(12);
        expect(pieces.join('')).toBe(expected.text);
        expect(await result.finishReason).toBe('length');
        expect(await result.usage).toEqual(expected.usage);
      }
    });

    it('stops at a stop sequence', async () => {
      const chat = at(pair.coordinator.url).chatModel(model);
      const whole = await generateText({ model: chat, ...ask });
      const [first, second] = whole.text.trim().split(' ');
      const stopped = await generateText({ model: chat, ...ask, stopSequences: [second!] });
      expect(stopped.finishReason).toBe('stop');
      expect(stopped.text.trim()).toBe(first);
    });

    it('raises errors before the first token', async () => {
      await pair.prefill.misbehave([{ kind: 'http_status', status: 500, where: 'prefill' }]);
      const failed = generateText({ model: at(pair.coordinator.url).chatModel(model), ...ask });
      await expect(failed).rejects.toBeInstanceOf(APICallError);
      await expect(failed).rejects.toMatchObject({ statusCode: 502 });
      const unknown = generateText({ model: at(pair.coordinator.url).chatModel('gpt-17'), ...ask });
      await pair.prefill.misbehave([]);
      await expect(unknown).rejects.toMatchObject({ name: 'AI_APICallError' });
      const embedding = embed({ model: at(pair.coordinator.url).textEmbeddingModel(model), value: 'x', maxRetries: 0 });
      await expect(embedding).rejects.toMatchObject({ statusCode: 404 });
    });

    it('raises errors in the middle of a stream', async () => {
      await pair.decode.misbehave(FAILS_MID_STREAM);
      const errors: unknown[] = [];
      const result = streamText({
        model: at(pair.coordinator.url).chatModel(model),
        ...ask,
        onError: ({ error }) => void errors.push(error),
      });
      let text = '';
      for await (const piece of result.textStream) text += piece;
      expect(text.trim().split(' ')).toHaveLength(4);
      expect(errors).toMatchObject([{ code: 'upstream_error_event', type: 'server_error' }]);
    });

    it('aborts in the middle of a stream', async () => {
      await pair.decode.misbehave(SLOW);
      const abort = new AbortController();
      const result = streamText({
        model: at(pair.coordinator.url).chatModel(model),
        ...ask,
        maxOutputTokens: 500,
        abortSignal: abort.signal,
      });
      const kinds = new Set<string>();
      let pieces = 0;
      for await (const { type } of result.fullStream) {
        kinds.add(type);
        if (type === 'text-delta' && (pieces += 1) === 4) abort.abort();
      }
      expect(kinds).toContain('abort');
      expect(pieces).toBeLessThan(100);
      await wasAbortedOn('decode');
    });
  });
});
