import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { InstanceProcess } from './support/instance-process.js';
import { startPair, type Pair } from './support/pair.js';
import { ask, FLOWS } from './support/requests.js';

const ANIMALS = ['fox', 'owl', 'bear', 'otter', 'cat'];
const NAMES = ['Ivy', 'Leo', 'Ada', 'Max'];
const THINGS = ['key', 'lantern', 'map', 'bell'];

/** 20 requests, each about another animal, name and thing. */
const REQUESTS = ANIMALS.flatMap((animal, a) =>
  NAMES.map(
    (name, n) => `Tell me a story about a ${animal} named ${name} and a silver ${THINGS[(a + n) % THINGS.length]}.`,
  ),
);

/** Of the concurrent requests. */
const ROUNDS = 2;

/** Repetitions of a sentence before the request, and how many requests: prompts of about 20, 300 and 1,200 tokens. */
const PADDINGS = [
  { padding: 0, count: 20 },
  { padding: 20, count: 10 },
  { padding: 80, count: 5 },
];
const pad = (request: string, sentences: number): string =>
  `${'The sun was warm and the sky was blue over the quiet river. '.repeat(sentences)}${request}`;

async function tokenIds(instance: InstanceProcess, prompt: string): Promise<number[]> {
  const response = await fetch(`${instance.url}/tokenize`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ prompt }),
  });
  return ((await response.json()) as { tokens: number[] }).tokens;
}

describe('a request that is prefilled here and decoded there', () => {
  let pair: Pair;
  let alone: InstanceProcess;

  beforeAll(async () => {
    pair = await startPair();
    alone = await InstanceProcess.start({ BATON_ENGINE_THREADS: '1' });
  });
  afterAll(async () => {
    await Promise.all([pair.stop(), alone.stop()]);
  });

  it.each(PADDINGS)(
    'says what one instance alone says, for $count prompts with $padding padding sentences, each api, streamed and not',
    async ({ padding, count }) => {
      let compared = 0;
      for (const prompt of REQUESTS.slice(0, count).map((request) => pad(request, padding))) {
        const ids = await tokenIds(alone, prompt);
        for (const flow of FLOWS) {
          // The model would end some plain prompts at once.
          const body = { ...flow.body(prompt, ids, 24), ...(flow.api === 'completions' ? { min_tokens: 8 } : {}) };
          const expected = await ask(alone.url, flow, body);
          expect(expected.headers.get('x-baton-manager')).toBe('local');
          expect(expected.said).not.toBe('');
          for (const stream of [false, true]) {
            const split = await ask(pair.prefill.url, flow, body, { stream });
            expect(split.headers.get('x-baton-manager')).toBe('prefill-local-decode-remote');
            expect({ prompt, said: split.said }).toEqual({ prompt, said: expected.said });
            expect(split.finishReason).toBe(expected.finishReason);
            expect(split.usage).toMatchObject({
              prompt_tokens: (expected.usage as { prompt_tokens: number }).prompt_tokens,
              completion_tokens: (expected.usage as { completion_tokens: number }).completion_tokens,
            });
            compared += 1;
          }
        }
      }
      expect(compared).toBe(count * FLOWS.length * 2);
      // Every one of them went over: nothing was decoded on P, nothing was prefilled again on D.
      expect(await pair.prefill.metric('baton_engine_sampled_tokens_total')).toBe(0);
      expect(await pair.decode.metric('baton_engine_handoff_recomputed_total')).toBe(0);
      expect(await pair.prefill.metric('baton_local_fallback_total')).toBe(0);
    },
    240_000,
  );

  it('evaluates the prompt on P only and samples on D only', async () => {
    const prompt = 'Please tell me a long story about a badger named Wendolyn who found a copper whistle.';
    const ids = await tokenIds(alone, prompt);
    const [p0, d0] = [await pair.prefill.metrics(), await pair.decode.metrics()];
    const flow = FLOWS[0]!;
    const { usage } = await ask(pair.prefill.url, flow, flow.body(prompt, ids, 16), { stream: true });
    const [p1, d1] = [await pair.prefill.metrics(), await pair.decode.metrics()];
    const { prompt_tokens, completion_tokens } = usage as { prompt_tokens: number; completion_tokens: number };

    const evaluated = { source: 'evaluated' };
    const cached = { source: 'prefix_cache' };
    const name = 'baton_engine_prompt_tokens_total';
    expect(p1(name, evaluated) - p0(name, evaluated) + p1(name, cached) - p0(name, cached)).toBe(prompt_tokens - 1);
    expect(p1(name, evaluated) - p0(name, evaluated)).toBeGreaterThan(0);
    expect(p1('baton_engine_sampled_tokens_total') - p0('baton_engine_sampled_tokens_total')).toBeLessThanOrEqual(1);
    expect(d1(name, evaluated) - d0(name, evaluated)).toBeLessThanOrEqual(1);
    expect(d1(name, { source: 'handoff' }) - d0(name, { source: 'handoff' })).toBe(prompt_tokens - 1);
    expect(d1('baton_engine_sampled_tokens_total') - d0('baton_engine_sampled_tokens_total')).toBeGreaterThanOrEqual(
      completion_tokens,
    );
  });

  it('keeps 32 concurrent streams apart: each answer is about its own animal, name and thing', async () => {
    const flow = FLOWS[1]!;
    const taken = (): Promise<number> => pair.prefill.metric('baton_engine_handoffs_total', { outcome: 'taken' });
    const takenBefore = await taken();
    const asked = Array.from({ length: 32 }, (_, i) => {
      const words = [ANIMALS[i % ANIMALS.length]!, NAMES[Math.floor(i / 8)]!, THINGS[i % THINGS.length]!];
      const [animal, name, thing] = words;
      return {
        words,
        body: flow.body(`Tell me a story about a ${animal} named ${name} and a silver ${thing}.`, [], 300),
      };
    });
    const oneAtATime: string[] = [];
    for (const { body } of asked) oneAtATime.push((await ask(alone.url, flow, body)).said);

    // Several rounds: what goes wrong between requests that share batches shows when everything is warm.
    let different = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const answers = await Promise.all(asked.map(({ body }) => ask(pair.prefill.url, flow, body, { stream: true })));
      answers.forEach(({ said, finishReason, isDone }, i) => {
        expect({ i, finishReason, isDone }).toEqual({ i, finishReason: 'stop', isDone: true });
        expect({ said, missing: asked[i]!.words.filter((word) => !said.includes(word)) }).toEqual({
          said,
          missing: [],
        });
        if (said !== oneAtATime[i]) different += 1;
      });
    }
    console.log(`${ROUNDS * asked.length} concurrent answers, ${different} of them with other text than one at a time`);
    // Each of them was read from the handoff that P kept for it, and none of D's own reading.
    expect(await pair.decode.metric('baton_engine_handoff_recomputed_total')).toBe(0);
    expect((await taken()) - takenBefore).toBe(ROUNDS * asked.length);
  });
});
