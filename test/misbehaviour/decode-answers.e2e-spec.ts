import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Fault } from '../../apps/simulator/src/faults/fault.js';
import { startCoordinator } from '../support/coordinator.js';
import { startDeployment } from '../support/deployment.js';
import { FLOWS } from '../support/requests.js';
import { ask, saidAfter, TOKENS, type Asked, type Heard } from './support/client.js';
import { sum, type Counters } from './support/counters.js';
import { befallen, Scene } from './support/scene.js';

/** D fails when the client has heard nothing: an error with a status, or, beside a P, another try there. */
interface Before {
  readonly status: number;
  readonly code: string;
  readonly reason: string;
  /** Why P answers instead. */
  readonly fallback: string;
}

/** D fails when the client has heard this many tokens: an error event. */
interface After {
  readonly tokens: number;
  readonly code: string;
  readonly reason: string;
}

type Fate = Before | After;

interface Row {
  readonly what: string;
  readonly fault: Fault;
  /** Left out: does not concern answers of this kind. */
  readonly streamed?: Fate;
  readonly whole?: Fate;
  /** Read alike everywhere: one place is enough. */
  readonly isVariant?: boolean;
  /** Of a streamed chat, whose first event is a role without a token. */
  readonly chat?: Fate;
}

const failed: Before = { status: 502, code: 'remote_failed', reason: 'upstream_error', fallback: 'failed' };
const busy: Before = { status: 503, code: 'remote_busy', reason: 'upstream_error', fallback: 'busy' };
const reset: Before = { status: 502, code: 'remote_reset', reason: 'upstream_error', fallback: 'reset' };
const bad = (code: string, reason = code): Before => ({ status: 502, code, reason, fallback: 'bad_answer' });
const after = (tokens: number, code: string, reason = code): After => ({ tokens, code, reason });

const SHAPES = ['dialect', 'nested', 'flat', 'string-code'] as const;

const ROWS: readonly Row[] = [
  { what: '[DONE] alone', fault: { kind: 'done_only' }, streamed: bad('upstream_incomplete') },
  {
    what: 'no finish reason',
    fault: { kind: 'no_finish_reason' },
    streamed: after(TOKENS, 'upstream_incomplete'),
    whole: bad('upstream_incomplete'),
  },
  {
    what: 'an abort before the first token',
    fault: { kind: 'abort_terminal' },
    streamed: bad('upstream_aborted'),
    chat: after(0, 'upstream_aborted'),
    whole: bad('upstream_aborted'),
  },
  {
    what: 'an abort after two tokens',
    fault: { kind: 'abort_terminal', afterTokens: 2 },
    streamed: after(2, 'upstream_aborted'),
    whole: bad('upstream_aborted'),
  },
  ...SHAPES.flatMap((shape): Row[] => [
    {
      what: `an error event (${shape}) before the first token`,
      fault: { kind: 'error_frame', shape },
      streamed: bad('upstream_error_event'),
      whole: failed,
      isVariant: shape !== 'dialect',
    },
    {
      what: `an error event (${shape}) after two tokens`,
      fault: { kind: 'error_frame', shape, afterTokens: 2 },
      isVariant: shape !== 'dialect',
      streamed: after(2, 'upstream_error_event'),
    },
  ]),
  {
    what: 'an error event without [DONE]',
    fault: { kind: 'error_frame', afterTokens: 2, done: false },
    streamed: after(2, 'upstream_error_event'),
  },
  {
    what: 'an event that is no JSON, unread, then [DONE]',
    fault: { kind: 'malformed_event', afterTokens: 1 },
    streamed: after(1, 'upstream_incomplete'),
    whole: bad('bad_upstream_answer', 'upstream_error'),
  },
  {
    what: 'JSON that breaks off',
    fault: { kind: 'malformed_json' },
    whole: bad('bad_upstream_answer', 'upstream_error'),
  },
  { what: 'an end behind the head', fault: { kind: 'cut' }, streamed: bad('upstream_truncated'), whole: reset },
  {
    what: 'an end after three tokens',
    fault: { kind: 'cut', afterTokens: 3 },
    streamed: after(3, 'upstream_truncated'),
  },
  {
    what: 'an end before [DONE] alone',
    fault: { kind: 'cut', afterTokens: TOKENS },
    streamed: after(TOKENS, 'upstream_truncated'),
  },
  { what: 'a reset before the head', fault: { kind: 'reset', at: 'head' }, streamed: reset, whole: reset },
  { what: 'a reset behind the head', fault: { kind: 'reset' }, streamed: reset, whole: reset },
  {
    what: 'a reset after three tokens',
    fault: { kind: 'reset', afterTokens: 3 },
    streamed: after(3, 'remote_reset', 'upstream_error'),
  },
  {
    what: 'KV that does not load, behind the head',
    fault: { kind: 'kv_load_failure' },
    streamed: bad('upstream_error_event'),
    whole: failed,
  },
  { what: 'no admission', fault: { kind: 'admission_503' }, streamed: busy, whole: busy },
];

const PLACES = [
  {
    place: 'a coordinator',
    hasFallback: false,
    start: async () => {
      const coordinator = await startCoordinator();
      return { scene: new Scene(coordinator), stop: () => coordinator.stop() };
    },
  },
  {
    place: 'an instance beside P',
    hasFallback: true,
    start: async () => {
      const deployment = await startDeployment({ connector: 'nixl', manager: 'prefill-local-decode-remote' });
      return { scene: new Scene({ ...deployment, prefills: [deployment.prefill] }), stop: () => deployment.stop() };
    },
  },
];

const casesOf = ({ what, fault, streamed, whole, chat }: Row) => [
  ...(streamed === undefined ? [] : [{ what, fault, stream: true, fate: streamed, chat }]),
  ...(whole === undefined ? [] : [{ what, fault, stream: false, fate: whole, chat: undefined }]),
];

describe.each(PLACES)('what D answers wrongly, before $place', ({ hasFallback, start }) => {
  let scene: Scene;
  let stop: () => Promise<void>;
  const right = new Map<string, string>();

  beforeAll(async () => {
    ({ scene, stop } = await start());
    for (const flow of FLOWS) right.set(flow.api, (await ask(scene.url, { flow, stream: false })).said);
  });
  afterAll(() => stop());

  const rows = ROWS.filter(({ isVariant }) => !hasFallback || isVariant !== true);

  it.each(rows.flatMap(casesOf))('$what (streamed: $stream)', async ({ fault, stream, fate: usual, chat }) => {
    const cases = FLOWS.map((flow) => ({ flow, stream, fate: flow.api === 'chat' ? (chat ?? usual) : usual }));
    // Once for each api: the leg that is sent for a release is answered as it should be.
    const decode = FLOWS.map(({ path }): Fault => ({ ...fault, path, times: 1 }));
    const played = await scene.play({ decode }, () => Promise.all(cases.map((each) => ask(scene.url, each))));
    expect(befallen(played.decode, fault.kind)).toBe(cases.length);
    expect(played.moved).toEqual(sum(cases.map(({ fate }) => countersOf(fate))));
    cases.forEach((each, index) => check(each, played.result[index]!, each.fate));
  });

  function countersOf(fate: Fate): Counters {
    if ('tokens' in fate) return { [`stream_end ${fate.reason}`]: 1, 'handoffs_settled taken': 1 };
    // D has not taken the KV: one more D leg frees it.
    const ended = hasFallback ? { 'stream_end complete': 1, [`local_fallback ${fate.fallback}`]: 1 } : undefined;
    return { ...(ended ?? { [`stream_end ${fate.reason}`]: 1 }), 'handoffs_settled freed': 1 };
  }

  function check(asked: Asked, heard: Heard, fate: Fate): void {
    const all = right.get(asked.flow.api) ?? '';
    if ('tokens' in fate) {
      const said = saidAfter(all, asked.flow, fate.tokens);
      expect(heard).toMatchObject({
        status: 200,
        isDone: true,
        said,
        error: { code: fate.code, type: 'server_error' },
      });
    } else if (hasFallback) {
      expect(heard).toMatchObject({ status: 200, said: all, finish: 'length', error: undefined, isDone: asked.stream });
    } else {
      expect(heard).toMatchObject({ status: fate.status, isStream: false, said: '', error: { code: fate.code } });
    }
  }
});
