import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import OpenAI, {
  APIConnectionError,
  APIUserAbortError,
  BadRequestError,
  InternalServerError,
  NotFoundError,
} from 'openai';
import { startEngineDouble } from './support/engine-double.js';
import { InstanceProcess } from './support/instance-process.js';
import { startPair, type Pair } from './support/pair.js';
import { idle } from './support/quiescence.js';

const PROMPT = 'Tell me a story about a fox named Ivy and a silver key.';
const OPENING = 'Once upon a time there was a brave fox named Ivy. Ivy';
const messages = [{ role: 'user' as const, content: PROMPT }];

describe('the official openai client, unmodified', () => {
  let pair: Pair;
  let client: OpenAI;
  let model: string;

  beforeAll(async () => {
    pair = await startPair();
    client = new OpenAI({ baseURL: `${pair.prefill.url}/v1`, apiKey: 'unused', maxRetries: 0 });
    model = (await client.models.list()).data[0]!.id;
  });
  afterAll(() => pair.stop());

  it('completes', async () => {
    const answer = await client.completions.create({ model, prompt: OPENING, max_tokens: 12, temperature: 0 });
    expect(answer.choices[0]).toMatchObject({ index: 0, finish_reason: 'length' });
    expect(answer.choices[0]!.text.length).toBeGreaterThan(5);
    expect(answer.usage).toMatchObject({ completion_tokens: 12 });
    expect(answer.usage!.total_tokens).toBe(answer.usage!.prompt_tokens + 12);
  });

  it('streams completions', async () => {
    let text = '';
    for await (const chunk of await client.completions.create({
      model,
      prompt: OPENING,
      max_tokens: 12,
      temperature: 0,
      stream: true,
    })) {
      text += chunk.choices[0]?.text ?? '';
    }
    const whole = await client.completions.create({ model, prompt: OPENING, max_tokens: 12, temperature: 0 });
    expect(text).toBe(whole.choices[0]!.text);
  });

  it('chats, about what it was asked', async () => {
    const answer = await client.chat.completions.create({ model, messages, temperature: 0 });
    expect(answer.choices[0]).toMatchObject({ finish_reason: 'stop', message: { role: 'assistant' } });
    for (const word of ['fox', 'Ivy', 'key']) expect(answer.choices[0]!.message.content).toContain(word);
  });

  it('streams a chat with a usage chunk', async () => {
    const stream = await client.chat.completions.create({
      model,
      messages,
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks[0]!.choices[0]!.delta.role).toBe('assistant');
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: expect.any(Number) } });
    expect(chunks.at(-2)!.choices[0]!.finish_reason).toBe('stop');
    const said = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('');
    const whole = await client.chat.completions.create({ model, messages, temperature: 0 });
    expect(said).toBe(whole.choices[0]!.message.content);
  });

  it('stops at a stop string, obeys a seed, gives n choices and log probabilities', async () => {
    const { choices } = await client.chat.completions.create({ model, messages, temperature: 0, stop: ['.'] });
    expect(choices[0]!.finish_reason).toBe('stop');
    expect(choices[0]!.message.content).not.toContain('.');

    const seeded = () => client.chat.completions.create({ model, messages, temperature: 0.8, seed: 7, max_tokens: 30 });
    const [first, second] = [await seeded(), await seeded()];
    expect(first.choices[0]!.message.content).toBe(second.choices[0]!.message.content);

    const several = await client.chat.completions
      .create({ model, messages, n: 3, temperature: 1, seed: 1, max_tokens: 8 })
      .withResponse();
    expect(several.response.headers.get('x-baton-manager')).toBe('local');
    expect(several.data.choices.map(({ index }) => index).sort()).toEqual([0, 1, 2]);

    const logged = await client.chat.completions.create({
      model,
      messages,
      temperature: 0,
      max_tokens: 3,
      logprobs: true,
      top_logprobs: 2,
    });
    const content = logged.choices[0]!.logprobs!.content!;
    expect(content).toHaveLength(3);
    for (const { logprob, top_logprobs } of content) {
      expect(logprob).toBeLessThanOrEqual(0);
      expect(top_logprobs).toHaveLength(2);
    }
  });

  it('aborts a stream, and both instances are idle', async () => {
    const stream = await client.chat.completions.create({ model, messages, stream: true, temperature: 0 });
    let chunks = 0;
    for await (const chunk of stream) {
      expect(chunk.choices).toHaveLength(1);
      if ((chunks += 1) === 3) break;
    }
    expect(chunks).toBe(3);
    await idle([pair.prefill, pair.decode]);
  });

  it('aborts before the answer', async () => {
    const abort = new AbortController();
    const answer = client.chat.completions.create({ model, messages, temperature: 0 }, { signal: abort.signal });
    setTimeout(() => abort.abort(), 15);
    await expect(answer).rejects.toBeInstanceOf(APIUserAbortError);
    await idle([pair.prefill, pair.decode]);
  });

  it('raises its own errors', async () => {
    await expect(client.chat.completions.create({ model: 'gpt-17', messages })).rejects.toBeInstanceOf(NotFoundError);
    const refused = client.chat.completions.create({ model, messages, max_tokens: 0 });
    await expect(refused).rejects.toBeInstanceOf(BadRequestError);
    await expect(refused).rejects.toMatchObject({ status: 400, param: 'max_tokens', type: 'invalid_request_error' });
    const long = client.completions.create({ model, prompt: PROMPT, max_tokens: 50_000 });
    await expect(long).rejects.toMatchObject({ status: 400, code: 'context_length_exceeded' });
    const nobody = new OpenAI({ baseURL: 'http://127.0.0.1:9/v1', apiKey: 'unused', maxRetries: 0 });
    await expect(nobody.models.list()).rejects.toBeInstanceOf(APIConnectionError);
  });

  it('raises what goes wrong behind the instance: before the first token, and in the middle of a stream', async () => {
    const double = await startEngineDouble();
    const instance = await InstanceProcess.start({
      BATON_ENGINE_KIND: 'http',
      BATON_ENGINE_URL: double.url,
      BATON_COORDINATION_CONNECTOR: 'embedded',
      BATON_COORDINATION_DECODE_ENDPOINTS: double.url,
    });
    const behind = new OpenAI({ baseURL: `${instance.url}/v1`, apiKey: 'unused', maxRetries: 0 });
    try {
      double.behave({ ending: { kind: 'status', status: 500 } });
      const failed = behind.chat.completions.create({ model, messages });
      await expect(failed).rejects.toBeInstanceOf(InternalServerError);
      await expect(failed).rejects.toMatchObject({ status: 502, code: 'remote_failed' });

      double.behave(({ leg }) => (leg === 'decode' ? { tokens: 20, ending: { kind: 'reset', afterTokens: 5 } } : {}));
      let chunks = 0;
      const read = async (): Promise<void> => {
        for await (const chunk of await behind.chat.completions.create({ model, messages, stream: true })) {
          chunks += chunk.choices.length;
        }
      };
      await expect(read()).rejects.toMatchObject({ code: 'remote_reset', type: 'server_error' });
      expect(chunks).toBeGreaterThanOrEqual(5);
    } finally {
      await instance.stop();
      await double.close();
    }
  });
});
