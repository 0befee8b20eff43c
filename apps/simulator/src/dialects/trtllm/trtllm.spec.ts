import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { answerTo } from '../../engine/answer-tokens.js';
import { tokenize } from '../../engine/vocabulary.js';
import { parseOptions } from '../../options.js';
import { startSimulator } from '../../simulator.js';
import { at, Simulated } from '../../testing/simulated.js';
import type { TrtLlmOptions } from './trtllm-options.js';

const prompt = 'What trtllm-serve is asked';
const right = answerTo(tokenize(prompt), { maxTokens: 4 });

describe('trtllm-serve', () => {
  let server: Simulated;
  beforeEach(async () => {
    server = await Simulated.start('--dialect', 'trtllm');
  });
  afterEach(() => server.close());

  it('completes in text, or in ids when asked not to detokenize', async () => {
    const body = { model: '', prompt: tokenize(prompt), max_tokens: 4 };
    expect((await server.post('/v1/completions', body)).json).toMatchObject({
      object: 'text_completion',
      choices: [{ text: right.text, finish_reason: 'length', stop_reason: null, disaggregated_params: null }],
    });
    const inIds = { ...body, detokenize: false };
    expect((await server.post('/v1/completions', inIds)).json).toMatchObject({
      choices: [{ text: '', token_ids: right.ids }],
    });
    const { chunks, events } = await server.post('/v1/completions', { ...inIds, stream: true });
    expect(chunks.flatMap((chunk) => at(chunk, 'choices.0.token_ids'))).toEqual(right.ids);
    expect(events.at(-1)).toBe('[DONE]');
  });

  it('chats from ids of the prompt, if it has them', async () => {
    const messages = [{ role: 'user', content: 'hi' }];
    const body = { messages, prompt_token_ids: tokenize(prompt), max_completion_tokens: 4 };
    expect(at((await server.post('/v1/chat/completions', body)).json, 'choices.0.message.content')).toBe(right.text);
  });

  it('has stream options for streams only, and flat errors', async () => {
    const { json } = await server.post('/v1/completions', { prompt, stream_options: { include_usage: true } });
    expect(json).toMatchObject({ object: 'error', code: 400, type: 'BadRequestError' });
  });

  it('ends a context as its version does', async () => {
    const options = parseOptions(['--dialect', 'trtllm', '--kv', 'trtllm']);
    const http: TrtLlmOptions = { ...options.http, contextFinish: 'not_finished' };
    const simulator = await startSimulator({ ...options, http });
    const ask = async (max_tokens: number): Promise<unknown> => {
      const body = { prompt, max_tokens, disaggregated_params: { request_type: 'context_only' } };
      const sent = { method: 'POST', body: JSON.stringify(body), headers: { connection: 'close' } };
      return at(await (await fetch(`${simulator.url}/v1/completions`, sent)).json(), 'choices.0.finish_reason');
    };
    expect([await ask(4), await ask(1)]).toEqual(['not_finished', 'length']);
    await simulator.close();
  });

  it('says how it is', async () => {
    expect((await server.get('/health')).status).toBe(200);
    expect((await server.get('/server_info')).json).toEqual({ disaggregated_params: null });
    expect((await server.get('/perf_metrics')).text).toBe('[]');
    expect((await server.get('/v1/models')).json).toMatchObject({ data: [{ id: 'sim' }] });
    expect((await server.get('/metrics')).text).toContain('trtllm_num_requests_waiting{model_name="sim"} 0\n');
  });
});
