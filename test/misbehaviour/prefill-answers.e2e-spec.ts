import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Fault } from '../../apps/simulator/src/faults/fault.js';
import { answerTo } from '../../apps/simulator/src/engine/answer-tokens.js';
import { tokenize } from '../../apps/simulator/src/engine/vocabulary.js';
import { startCoordinator } from '../support/coordinator.js';
import { startDeployment } from '../support/deployment.js';
import { FLOWS } from '../support/requests.js';
import { ALL_ASKED, ask, bodyOf, PROMPT, TOKENS, type Asked, type Heard } from './support/client.js';
import { times, type Counters } from './support/counters.js';
import { abandonedBy, befallen, Scene } from './support/scene.js';

/** Long enough for a D that comes, short enough to wait for when none does. */
const LEASE_MS = 1_500;

/** An answer as if nothing had happened. */
interface Right {
  readonly moved: Counters;
}

/** No answer at a coordinator; beside a D, one that D computes alone. */
interface Wrong {
  readonly code: string;
  readonly reason: string;
  readonly fallback: string;
}

interface Row {
  readonly what: string;
  readonly fault: Fault;
  readonly fate: Right | Wrong;
  /** P keeps what nobody comes for, until its lease ends. */
  readonly isAbandoned?: true;
}

const complete = { 'stream_end complete': 1 };
const taken: Right = { moved: { ...complete, 'handoffs_settled taken': 1 } };
const noHandoff: Right = { moved: { ...complete, no_handoff: 1 } };
const wrong = (code: string, reason: string, fallback: string): Wrong => ({ code, reason, fallback });

const ROWS: readonly Row[] = [
  { what: 'null params', fault: { kind: 'null_params' }, fate: noHandoff },
  {
    what: 'params that are no handoff',
    fault: { kind: 'drop_param_keys', keys: ['do_remote_prefill'] },
    fate: noHandoff,
    isAbandoned: true,
  },
  {
    what: 'params without a key that D needs: D reads the prompt itself, and says nothing',
    fault: { kind: 'drop_param_keys', keys: ['remote_host'] },
    fate: taken,
    isAbandoned: true,
  },
  { what: 'an end token that comes first: D is sent all the same', fault: { kind: 'eos_first' }, fate: taken },
  {
    what: 'an abort',
    fault: { kind: 'abort_terminal' },
    fate: wrong('upstream_aborted', 'upstream_aborted', 'bad_answer'),
  },
  {
    what: 'no finish reason',
    fault: { kind: 'no_finish_reason' },
    fate: wrong('upstream_incomplete', 'upstream_incomplete', 'bad_answer'),
    isAbandoned: true,
  },
  {
    what: 'a 500 when all is computed',
    fault: { kind: 'error_frame' },
    fate: wrong('remote_failed', 'upstream_error', 'failed'),
    isAbandoned: true,
  },
  {
    what: 'JSON that breaks off',
    fault: { kind: 'malformed_json' },
    fate: wrong('bad_upstream_answer', 'upstream_error', 'bad_answer'),
    isAbandoned: true,
  },
  {
    what: 'a body that is cut off',
    fault: { kind: 'cut' },
    fate: wrong('remote_reset', 'upstream_error', 'reset'),
    isAbandoned: true,
  },
  {
    what: 'a reset within the body',
    fault: { kind: 'reset' },
    fate: wrong('remote_reset', 'upstream_error', 'reset'),
    isAbandoned: true,
  },
  {
    what: 'a reset before the head',
    fault: { kind: 'reset', at: 'head' },
    fate: wrong('remote_reset', 'upstream_error', 'reset'),
  },
];

const flags = { 'kv-lease-ms': LEASE_MS };

const PLACES = [
  {
    place: 'a coordinator',
    hasFallback: false,
    start: async () => {
      const coordinator = await startCoordinator({ flags });
      return { scene: new Scene(coordinator), stop: () => coordinator.stop() };
    },
  },
  {
    place: 'an instance beside D',
    hasFallback: true,
    start: async () => {
      const deployment = await startDeployment({
        ...{ connector: 'nixl', manager: 'decode-local-prefill-remote', flags: { prefill: flags, decode: flags } },
      });
      return { scene: new Scene({ ...deployment, prefills: [deployment.prefill] }), stop: () => deployment.stop() };
    },
  },
];

describe.each(PLACES)('what P answers wrongly, before $place', ({ hasFallback, start }) => {
  let scene: Scene;
  let stop: () => Promise<void>;
  /** What one server alone answers. */
  const alone = new Map<string, string>();

  beforeAll(async () => {
    ({ scene, stop } = await start());
    for (const flow of FLOWS) alone.set(flow.api, (await ask(scene.cast.decode.url, { flow, stream: false })).said);
  });
  afterAll(() => stop());

  const askAll = (): Promise<[Asked, Heard][]> =>
    Promise.all(ALL_ASKED.map(async (asked) => [asked, await ask(scene.url, asked)] satisfies [Asked, Heard]));

  it.each(ROWS)('$what', async ({ fault, fate, isAbandoned }) => {
    const prefill: Fault[] = [{ ...fault, where: 'prefill' }];
    const before = await abandoned();
    const played = await scene.play({ prefill }, askAll, { leasesMayStay: true });
    expect(befallen(played.prefill, fault.kind)).toBe(ALL_ASKED.length);
    // Nothing that P has begun is begun again elsewhere.
    expect(played.prefill).toHaveLength(ALL_ASKED.length);
    const expected = 'moved' in fate ? fate.moved : countersOf(fate);
    expect(played.moved).toEqual(times(ALL_ASKED.length, expected));
    for (const [{ flow, stream }, heard] of played.result) {
      if ('moved' in fate || hasFallback) {
        const whole = { status: 200, finish: 'length', error: undefined, isDone: stream };
        expect({ ...heard, api: flow.api }).toMatchObject({ ...whole, said: alone.get(flow.api), api: flow.api });
      } else {
        expect(heard).toMatchObject({ status: 502, isStream: false, said: '', error: { code: fate.code } });
      }
    }
    if (!('moved' in fate) && !hasFallback) expect(played.decode).toEqual([]);
    expect((await abandoned()) - before).toBe(isAbandoned === true ? ALL_ASKED.length : 0);
  });

  function countersOf({ reason, fallback }: Wrong): Counters {
    return hasFallback ? { ...complete, [`local_fallback ${fallback}`]: 1 } : { [`stream_end ${reason}`]: 1 };
  }

  const abandoned = (): Promise<number> => abandonedBy(scene.cast.prefills[0]!);

  it('passes params on verbatim that it does not know, and keeps them from the client', async () => {
    const params = { next: { x: [1, null, '2'] }, remote_num_tokens: 10, later: '9007199254740993' };
    const fault: Fault = { kind: 'extra_params', params };
    const played = await scene.play({ prefill: [fault], decode: [fault] }, askAll);
    expect(played.moved).toEqual(times(ALL_ASKED.length, taken.moved));
    expect(played.decode).toHaveLength(ALL_ASKED.length);
    for (const { body } of played.decode) expect(body['kv_transfer_params']).toMatchObject(params);
    for (const [{ flow }, heard] of played.result) {
      expect(heard.said).toBe(alone.get(flow.api));
      expect(heard.events.filter((event) => (event['kv_transfer_params'] ?? null) !== null)).toEqual([]);
    }
  });

  it('a lease that has ended: wrong tokens with 200, as in the field; their content gives them away', async () => {
    const played = await scene.play({ prefill: [{ kind: 'lease_expired', where: 'prefill' }] }, askAll);
    expect(befallen(played.prefill, 'lease_expired')).toBe(ALL_ASKED.length);
    expect(played.moved).toEqual(times(ALL_ASKED.length, taken.moved));
    for (const [{ flow, stream }, heard] of played.result) {
      expect(heard).toMatchObject({ status: 200, finish: 'length', error: undefined, isDone: stream });
      expect(heard.said).not.toBe(alone.get(flow.api));
      expect(heard.said).not.toBe('');
    }
    const [[, completion]] = played.result as [[Asked, Heard]];
    const right = answerTo(tokenize(PROMPT), { maxTokens: TOKENS });
    expect([alone.get('completions') === right.text, completion.said === right.text]).toEqual([true, false]);
  });

  describe('params of the token endpoint that are looked for in one place only', () => {
    const tokens: Asked = { flow: FLOWS.find(({ api }) => api === 'generate')!, stream: true };
    const [top, nested] = [{ kind: 'ignore_top_level_params' }, { kind: 'ignore_extra_args_params' }] as const;

    it.each([
      ['P looks in extra_args', [top], []],
      ['P looks at the top', [nested], []],
      ['D looks in extra_args', [], [top]],
      ['D looks at the top', [], [nested]],
    ] satisfies [string, Fault[], Fault[]][])('%s: they are in both', async (_what, prefill, decode) => {
      const played = await scene.play({ prefill, decode }, () => ask(scene.url, tokens));
      expect(played.result.said).toBe(alone.get('generate'));
      expect(played.moved).toEqual(taken.moved);
      const faults = [...played.prefill, ...played.decode].flatMap((record) => record.faults);
      expect(faults).toHaveLength(1);
      expect(played.decode[0]?.cachedTokens).toBe(PROMPT.length);
    });

    it('P overlooks them: no handoff', async () => {
      const played = await scene.play({ prefill: [top, nested] }, () => ask(scene.url, tokens));
      expect([played.result.said, played.moved]).toEqual([alone.get('generate'), noHandoff.moved]);
      expect(played.decode[0]?.cachedTokens).toBe(0);
    });

    it('D overlooks them: it reads the prompt itself, and P waits until its lease ends', async () => {
      const before = await abandoned();
      const act = (): Promise<Heard> => ask(scene.url, tokens);
      const played = await scene.play({ decode: [top, nested] }, act, { leasesMayStay: true });
      expect([played.result.said, played.moved]).toEqual([alone.get('generate'), taken.moved]);
      expect([played.decode[0]?.cachedTokens, (await abandoned()) - before]).toEqual([0, 1]);
    });
  });

  it('an end token that comes first on both sides: an empty answer, from D', async () => {
    for (const asked of ALL_ASKED) {
      const body = bodyOf(asked, `${PROMPT}<eos:0>`);
      const played = await scene.play({}, () => ask(scene.url, asked, { body }));
      expect(played.moved).toEqual(taken.moved);
      expect(played.result).toMatchObject({ status: 200, finish: 'stop', error: undefined, isDone: asked.stream });
      expect(played.prefill[0]?.finishReasons).toEqual(['stop']);
      expect(played.decode[0]).toMatchObject({ leg: 'decode', finishReasons: ['stop'], tokens: 1 });
    }
  });

  it('what was abandoned is freed in the end: nothing outlives its lease', async () => {
    await scene.quiet({ withinMs: LEASE_MS + 1_000 });
    const { freed } = await scene.cast.prefills[0]!.get('ledger');
    console.log(`P has freed: ${JSON.stringify(freed)}`);
  });
});
