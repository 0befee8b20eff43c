import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { InstanceProcess } from './support/instance-process.js';
import { idle } from './support/quiescence.js';
import { ask, FLOWS, type Flow } from './support/requests.js';

const MAX_TOKENS = 24;
const HANDED_OVER = ['baton_engine_prompt_tokens_total', { source: 'handoff' }] as const;
const EVALUATED = ['baton_engine_prompt_tokens_total', { source: 'evaluated' }] as const;

const PLACES = [
  {
    place: 'a coordinator before both',
    manager: 'prefill-remote-decode-remote',
    prompts: [
      'Tell me a story about a fox named Ivy and a silver key.',
      'Once upon a time there was a bear named Max, who lived by a quiet river.',
      `${'The sun was warm and the sky was blue. '.repeat(20)}Tell me a story about an owl named Ada.`,
    ],
  },
  {
    place: 'the instance that decodes',
    manager: 'decode-local-prefill-remote',
    prompts: [
      'Please tell me a story about a cat named Leo and an old map.',
      'Tell me a story about an otter named Ivy and a brass bell.',
      `${'The wind was cold and the night was long. '.repeat(20)}Tell me a story about a fox named Max.`,
    ],
  },
] as const;

/** The model would end some plain prompts with its first token. */
function notEndingAtOnce(flow: Flow, prompt: string, ids: readonly number[]): Record<string, unknown> {
  const body = flow.body(prompt, ids, MAX_TOKENS);
  const params = body['sampling_params'];
  const least = { min_tokens: 8 };
  return typeof params === 'object' ? { ...body, sampling_params: { ...params, ...least } } : { ...body, ...least };
}

/** Real engines: what is handed over is a KV cache that the other side has to understand. */
describe('two embedded engines, coordinated from elsewhere than P', () => {
  let prefill: InstanceProcess;
  let decode: InstanceProcess;
  let coordinator: InstanceProcess;
  let alone: InstanceProcess;

  beforeAll(async () => {
    const engine = { BATON_ENGINE_THREADS: '1' };
    [prefill, alone] = await Promise.all([InstanceProcess.start(engine), InstanceProcess.start(engine)]);
    // Clients may call it themselves; to the coordinator it is a decode instance, whose legs it runs as they are.
    decode = await InstanceProcess.start({
      ...engine,
      BATON_KV_PEERS: '127.0.0.1:*',
      BATON_COORDINATION_CONNECTOR: 'embedded',
      BATON_COORDINATION_PREFILL_ENDPOINTS: prefill.url,
    });
    coordinator = await InstanceProcess.start({
      BATON_ENGINE_KIND: 'none',
      BATON_COORDINATION_CONNECTOR: 'embedded',
      BATON_COORDINATION_PREFILL_ENDPOINTS: prefill.url,
      BATON_COORDINATION_DECODE_ENDPOINTS: decode.url,
    });
  });
  afterAll(() => Promise.all([prefill, decode, coordinator, alone].map((instance) => instance.stop())));

  const tokenIds = async (prompt: string): Promise<number[]> => {
    const response = await fetch(`${alone.url}/tokenize`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ prompt }),
    });
    return ((await response.json()) as { tokens: number[] }).tokens;
  };

  describe.each(PLACES)('by $place', ({ manager, prompts }) => {
    const asked = (): InstanceProcess => (manager === 'decode-local-prefill-remote' ? decode : coordinator);

    it('say what one instance alone says', async () => {
      const [p0, d0] = [await prefill.metrics(), await decode.metrics()];
      const taken = await asked().metric('baton_handoffs_settled_total', { outcome: 'taken' });
      let compared = 0;
      for (const prompt of prompts) {
        const ids = await tokenIds(prompt);
        for (const flow of FLOWS) {
          const body = notEndingAtOnce(flow, prompt, ids);
          const expected = await ask(alone.url, flow, body);
          expect(expected.said).not.toBe('');
          for (const stream of [false, true]) {
            const answer = await ask(asked().url, flow, body, { stream });
            expect(answer).toMatchObject({ status: 200, said: expected.said, finishReason: expected.finishReason });
            expect(answer.headers.get('x-baton-manager')).toBe(manager);
            const { prompt_tokens, completion_tokens } = expected.usage as Record<string, number>;
            expect(answer.usage).toMatchObject({ prompt_tokens, completion_tokens });
            if (stream) expect(answer.isDone).toBe(true);
            compared += 1;
          }
        }
      }
      expect(compared).toBe(18);

      // Every one of them was handed over: P sampled at most the one token of its leg, D read no prompt again.
      await idle([prefill, decode]);
      const [p1, d1] = [await prefill.metrics(), await decode.metrics()];
      expect(await asked().metric('baton_handoffs_settled_total', { outcome: 'taken' })).toBe(taken + compared);
      expect(p1('baton_engine_handoffs_total', { outcome: 'taken' })).toBe(
        p0('baton_engine_handoffs_total', { outcome: 'taken' }) + compared,
      );
      expect(p1('baton_engine_sampled_tokens_total')).toBe(p0('baton_engine_sampled_tokens_total'));
      expect(d1('baton_engine_handoff_recomputed_total')).toBe(d0('baton_engine_handoff_recomputed_total'));
      expect(d1(...HANDED_OVER)).toBeGreaterThan(d0(...HANDED_OVER));
      expect(await asked().metric('baton_local_fallback_total')).toBe(0);
      expect(await asked().metric('baton_no_handoff_total')).toBe(0);
      expect(await asked().metric('baton_handoffs_open')).toBe(0);
    });

    it('read a new prompt on P and sample on D', async () => {
      const flow = FLOWS[0]!;
      const prompt = `Nobody has asked for a badger named Wendolyn before: ${manager}.`;
      const [p0, d0] = [await prefill.metrics(), await decode.metrics()];
      const { usage } = await ask(asked().url, flow, flow.body(prompt, [], MAX_TOKENS), { stream: true });
      const [p1, d1] = [await prefill.metrics(), await decode.metrics()];
      const { prompt_tokens: promptTokens = 0, completion_tokens: sampled = 0 } = usage as Record<string, number>;
      expect(p1(...EVALUATED) - p0(...EVALUATED)).toBeGreaterThan(promptTokens / 2);
      expect(d1(...HANDED_OVER) - d0(...HANDED_OVER)).toBe(promptTokens - 1);
      expect(d1(...EVALUATED) - d0(...EVALUATED)).toBeLessThanOrEqual(1);
      const name = 'baton_engine_sampled_tokens_total';
      expect(p1(name) - p0(name)).toBeLessThanOrEqual(1);
      expect(d1(name) - d0(name)).toBeGreaterThanOrEqual(sampled);
    });
  });

  it('render a request through the coordinator as the instances do', async () => {
    const { path, body } = FLOWS[1]!;
    const [here, there] = await Promise.all(
      [coordinator, alone].map(async ({ url }) => {
        const response = await fetch(`${url}${path}/render`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ ...body('Tell me a story.', [], MAX_TOKENS), request_id: 'mine' }),
        });
        return { status: response.status, rendered: await response.json() };
      }),
    );
    expect(here).toEqual(there);
    expect(here).toMatchObject({ status: 200, rendered: { request_id: 'mine' } });
  });
});
