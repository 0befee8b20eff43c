import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { answerTo } from '../../engine/answer-tokens.js';
import { renderChat } from '../../engine/chat-template.js';
import { detokenize, tokenize } from '../../engine/vocabulary.js';
import { at, Simulated, textAt } from '../../testing/simulated.js';

const COMPLETIONS = '/v1/completions';
const CHAT = '/v1/chat/completions';
const messages = [{ role: 'user', content: 'Where is the door?' }];
const chatIds = tokenize(renderChat(messages, { addGenerationPrompt: true, continueFinalMessage: false, tools: [] }));
const expected = (prompt: string | readonly number[], maxTokens: number, choice = 0): string =>
  answerTo(typeof prompt === 'string' ? tokenize(prompt) : prompt, { maxTokens, choice }).text;

describe('vLLM: completions', () => {
  let server: Simulated;
  beforeAll(async () => (server = await Simulated.start()));
  afterAll(() => server.close());

  it('answers what the token function says', async () => {
    const answer = await server.post(
      COMPLETIONS,
      { model: 'sim', prompt: 'abc', max_tokens: 5 },
      { 'x-request-id': 'r1' },
    );
    expect(answer.headers.get('x-simulator')).toBe('1');
    expect(answer.json).toMatchObject({
      id: 'cmpl-r1',
      object: 'text_completion',
      model: 'sim',
      choices: [{ index: 0, text: expected('abc', 5), finish_reason: 'length', stop_reason: null, logprobs: null }],
      usage: { prompt_tokens: 3, completion_tokens: 5, total_tokens: 8, prompt_tokens_details: { cached_tokens: 0 } },
      kv_transfer_params: null,
    });
  });

  it('has 16 tokens when nobody says how many', async () => {
    expect(at((await server.post(COMPLETIONS, { prompt: 'abc' })).json, 'usage.completion_tokens')).toBe(16);
  });

  it('takes token ids, several prompts and several choices', async () => {
    const ids = (await server.post(COMPLETIONS, { prompt: [97, 98, 99], max_tokens: 4 })).json;
    expect(at(ids, 'choices.0.text')).toBe(expected('abc', 4));
    const several = (await server.post(COMPLETIONS, { prompt: ['a', [98]], n: 2, max_tokens: 3 })).json;
    expect([0, 1, 2, 3].map((index) => at(several, `choices.${index}.text`))).toEqual([
      expected('a', 3),
      expected('a', 3, 1),
      expected('b', 3),
      expected('b', 3, 1),
    ]);
    expect(at(several, 'usage.completion_tokens')).toBe(12);
  });

  it('streams the same, with usage at the end or all along', async () => {
    const body = { prompt: 'abc', stream: true, max_tokens: 3, stream_options: { include_usage: true } };
    const { chunks, events } = await server.post(COMPLETIONS, body);
    expect(textAt(chunks, 'choices.0.text')).toBe(expected('abc', 3));
    expect(chunks.map((chunk) => at(chunk, 'choices.0.finish_reason'))).toEqual([null, null, 'length', undefined]);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 3 } });
    expect(events.at(-1)).toBe('[DONE]');
    const all = { ...body, stream_options: { include_usage: true, continuous_usage_stats: true } };
    const continuous = (await server.post(COMPLETIONS, all)).chunks;
    expect(continuous.map((chunk) => at(chunk, 'usage.completion_tokens'))).toEqual([1, 2, 3, 3]);
  });

  it('echoes the prompt with logprobs whose offsets are those of the text', async () => {
    const { json } = await server.post(COMPLETIONS, { prompt: 'ab', echo: true, logprobs: 2, max_tokens: 2 });
    const answer = expected('ab', 2);
    expect(at(json, 'choices.0.text')).toBe(`ab${answer}`);
    expect(at(json, 'choices.0.logprobs.text_offset')).toEqual([0, 1, 2, 8]);
    expect(at(json, 'choices.0.logprobs.token_logprobs.0')).toBeNull();
    expect(at(json, 'choices.0.logprobs.tokens')).toEqual(['a', 'b', answer.slice(0, 6), answer.slice(6)]);
    const streamed = await server.post(COMPLETIONS, {
      prompt: 'ab',
      echo: true,
      logprobs: 2,
      max_tokens: 2,
      stream: true,
    });
    expect(streamed.chunks.flatMap((chunk) => at(chunk, 'choices.0.logprobs.text_offset'))).toEqual([0, 1, 2, 8]);
    const only = await server.post(COMPLETIONS, { prompt: 'ab', echo: true, max_tokens: 0 });
    expect(only.json).toMatchObject({ choices: [{ text: 'ab' }], usage: { completion_tokens: 0 } });
  });

  it('lists prompt logprobs, the same in every server', async () => {
    const body = { prompt: 'abc', max_tokens: 1, prompt_logprobs: 1 };
    const { json } = await server.post(COMPLETIONS, body);
    expect(at(json, 'choices.0.prompt_logprobs.0')).toBeNull();
    expect(Object.keys(at(json, 'choices.0.prompt_logprobs.1') ?? {})).toContain('98');
    const other = await Simulated.start();
    const again = await other.post(COMPLETIONS, body);
    await other.close();
    expect(at(again.json, 'choices.0.prompt_logprobs')).toEqual(at(json, 'choices.0.prompt_logprobs'));
  });

  it('stops at strings, tokens and the end token', async () => {
    const full = answerTo(tokenize('abc'), { maxTokens: 8 });
    const stop = full.text.slice(8, 14);
    const cut = full.text.slice(0, full.text.indexOf(stop));
    const stopped = { text: cut, finish_reason: 'stop', stop_reason: stop };
    expect((await server.post(COMPLETIONS, { prompt: 'abc', max_tokens: 8, stop })).json).toMatchObject({
      choices: [stopped],
    });
    const { chunks } = await server.post(COMPLETIONS, { prompt: 'abc', max_tokens: 8, stop: [stop], stream: true });
    expect(chunks.map((chunk) => at(chunk, 'choices.0.text')).join('')).toBe(cut);
    const included = { prompt: 'abc', max_tokens: 8, stop, include_stop_str_in_output: true };
    expect(at((await server.post(COMPLETIONS, included)).json, 'choices.0.text')).toBe(cut + stop);
    const token = { prompt: 'abc', max_tokens: 8, stop_token_ids: [full.ids[2]] };
    expect((await server.post(COMPLETIONS, token)).json).toMatchObject({
      choices: [{ text: detokenize(full.ids.slice(0, 2)), finish_reason: 'stop', stop_reason: full.ids[2] }],
      usage: { completion_tokens: 3 },
    });
    const eos = { prompt: 'abc <eos:0>', max_tokens: 8 };
    expect((await server.post(COMPLETIONS, eos)).json).toMatchObject({
      choices: [{ text: '', finish_reason: 'stop', stop_reason: null }],
      usage: { completion_tokens: 1 },
    });
    const ignored = (await server.post(COMPLETIONS, { ...eos, ignore_eos: true })).json;
    expect(at(ignored, 'usage.completion_tokens')).toBe(8);
  });

  it('counts what it has seen before as cached, when it caches prefixes', async () => {
    const caching = await Simulated.start('--prefix-caching');
    const body = { prompt: 'x'.repeat(40), max_tokens: 3 };
    const answers = [await caching.post(COMPLETIONS, body), await caching.post(COMPLETIONS, body)];
    await caching.close();
    expect(answers.map(({ json }) => at(json, 'usage.prompt_tokens_details.cached_tokens'))).toEqual([0, 32]);
    expect(answers.map(({ json }) => at(json, 'choices.0.text'))).toEqual([
      expected(body.prompt, 3),
      expected(body.prompt, 3),
    ]);
  });

  it.each([
    [{ prompt: 'a', stream_options: { include_usage: true } }, 400, 'Stream options'],
    [{ prompt: 'a', max_tokens: 4, min_tokens: 5 }, 400, 'min_tokens'],
    [{ prompt: 'a', stream: true, prompt_logprobs: 1 }, 400, 'prompt_logprobs'],
    [{ prompt: 'a', max_tokens: 0 }, 400, 'max_tokens'],
    [{ prompt: 'a', max_tokens: 2_000_000 }, 400, 'maximum context length'],
    [{ prompt: 'a', n: 300 }, 400, 'n must be'],
    [{ prompt: 'a', temperature: -1 }, 400, 'temperature'],
    [{ prompt: '' }, 400, 'prompt'],
    [{}, 400, 'prompt'],
    [{ prompt: 'a', model: 'other' }, 404, 'does not exist'],
  ])('refuses %j with %p', async (body, status, message) => {
    const answer = await server.post(COMPLETIONS, body);
    const type = status === 404 ? 'NotFoundError' : 'BadRequestError';
    expect(answer.status).toBe(status);
    expect(answer.json).toMatchObject({ error: { message: expect.stringContaining(message), type, code: status } });
  });

  it('refuses what is no JSON', async () => {
    expect((await server.post(COMPLETIONS, '{')).status).toBe(400);
  });
});

describe('vLLM: chat', () => {
  let server: Simulated;
  beforeAll(async () => (server = await Simulated.start('--default-max-tokens', '7')));
  afterAll(() => server.close());

  it('answers whole', async () => {
    const { json } = await server.post(
      CHAT,
      { messages, max_completion_tokens: 4, max_tokens: 9 },
      { 'x-request-id': 'c' },
    );
    expect(json).toMatchObject({
      id: 'chatcmpl-c',
      object: 'chat.completion',
      choices: [{ message: { role: 'assistant', content: expected(chatIds, 4) }, finish_reason: 'length' }],
      usage: { prompt_tokens: chatIds.length, completion_tokens: 4 },
    });
  });

  it('streams a role, the content and the end', async () => {
    const { chunks, events } = await server.post(CHAT, {
      messages,
      stream: true,
      n: 2,
      max_tokens: 3,
      logprobs: true,
      top_logprobs: 2,
    });
    expect(chunks.slice(0, 2).map((chunk) => at(chunk, 'choices.0.delta.role'))).toEqual(['assistant', 'assistant']);
    const textOf = (index: number): string =>
      chunks
        .filter((chunk) => at(chunk, 'choices.0.index') === index)
        .map((chunk) => at(chunk, 'choices.0.delta.content'))
        .join('');
    expect([textOf(0), textOf(1)]).toEqual([expected(chatIds, 3), expected(chatIds, 3, 1)]);
    expect(at(chunks[2], 'choices.0.logprobs.content.0')).toMatchObject({
      bytes: expect.any(Array),
      top_logprobs: { length: 2 },
    });
    expect(events.at(-1)).toBe('[DONE]');
  });

  it('is as long as the model likes when nobody says, and goes on with an unfinished message', async () => {
    expect(at((await server.post(CHAT, { messages })).json, 'usage.completion_tokens')).toBe(7);
    const whole = expected(chatIds, 7);
    const begun = [...messages, { role: 'assistant', content: whole.slice(0, 6) }];
    const body = { messages: begun, add_generation_prompt: false, continue_final_message: true, max_tokens: 6 };
    expect(at((await server.post(CHAT, body)).json, 'choices.0.message.content')).toBe(whole.slice(6));
    expect((await server.post(CHAT, { ...body, add_generation_prompt: true })).status).toBe(400);
  });

  it('calls the function that it is told to call, as far as its tokens go', async () => {
    const tools = [{ type: 'function', function: { name: 'open', parameters: {} } }];
    const asking = {
      messages: [{ role: 'user', content: 'x <eos:2>' }],
      tools,
      tool_choice: 'required',
      max_tokens: 9,
    };
    const { json } = await server.post(CHAT, asking);
    const call = at(json, 'choices.0.message.tool_calls.0');
    expect(json).toMatchObject({ choices: [{ finish_reason: 'tool_calls', message: { content: null } }] });
    expect(call).toMatchObject({ type: 'function', function: { name: 'open' } });
    const text = String(at(call, 'function.arguments'));
    expect(JSON.parse(text)).toEqual({ text: expect.any(String) });
    const { chunks } = await server.post(CHAT, { ...asking, stream: true });
    expect(textAt(chunks, 'choices.0.delta.tool_calls.0.function.arguments')).toBe(text);
    const short = (await server.post(CHAT, { ...asking, tool_choice: { function: { name: 'open' } }, max_tokens: 1 }))
      .json;
    expect(at(short, 'choices.0.finish_reason')).toBe('length');
    expect(
      () => JSON.parse(String(at(short, 'choices.0.message.tool_calls.0.function.arguments'))) as unknown,
    ).toThrow();
  });

  it.each([
    [{ messages: [] }],
    [{ messages: [{ content: 'x' }] }],
    [{ messages, top_logprobs: 2 }],
    [{ messages, max_tokens: 0 }],
  ])('refuses %j', async (body) => expect((await server.post(CHAT, body)).status).toBe(400));
});
