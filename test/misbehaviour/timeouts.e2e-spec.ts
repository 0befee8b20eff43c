import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Fault, HangPoint } from '../../apps/simulator/src/faults/fault.js';
import { startCoordinator, type Coordinator } from '../support/coordinator.js';
import { startDeployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { RawPost } from '../support/raw-client.js';
import { FLOWS } from '../support/requests.js';
import { ask, bodyOf, saidAfter, TOKENS, type Heard } from './support/client.js';
import { sum, times } from './support/counters.js';
import { befallen, recordsOf, Scene } from './support/scene.js';

/** Longer than any timeout here. */
const LEASE_MS = 2_000;
const TIMEOUT_MS = 300;
const flags = { 'kv-lease-ms': LEASE_MS };

/** Nobody waits for long. */
const settings = {
  ...Object.fromEntries(
    ['PREFILL', 'DECODE'].flatMap((side) =>
      ['HEAD', 'ANSWER', 'FIRST_TOKEN', 'IDLE'].map((what) => [
        `BATON_COORDINATION_${side}_${what}_TIMEOUT_MS`,
        String(TIMEOUT_MS),
      ]),
    ),
  ),
  BATON_COORDINATION_TRANSFER_TIMEOUT_MS: String(TIMEOUT_MS),
};

const STREAMS = [{ stream: true }, { stream: false }];

interface Hanging {
  readonly at: HangPoint;
  /** What of a streamed answer the client has heard by then. */
  readonly tokens: number;
  /** Why a streamed answer ends: D sends its head when it has a place. */
  readonly ends: 'upstream_error' | 'timeout_first_token' | 'timeout_between_tokens';
}

/** A place for each api at once: a timeout of undici is exact to a second. */
const AT_D: readonly (readonly Hanging[])[] = [
  [
    { at: 'head', tokens: 0, ends: 'upstream_error' },
    { at: 'queue', tokens: 0, ends: 'upstream_error' },
    { at: 'load', tokens: 0, ends: 'timeout_first_token' },
  ],
  [
    { at: 'prefill', tokens: 0, ends: 'timeout_first_token' },
    { at: 'token', tokens: 2, ends: 'timeout_between_tokens' },
    { at: 'done', tokens: TOKENS, ends: 'timeout_between_tokens' },
  ],
];

const askEach = (url: string, stream: boolean): Promise<Heard[]> =>
  Promise.all(FLOWS.map((flow) => ask(url, { flow, stream })));
/** For one request of each api. */
const oncePerApi = (fault: Fault): Fault[] => FLOWS.map(({ path }): Fault => ({ ...fault, path, times: 1 }));

describe('a server that hangs', () => {
  let coordinator: Coordinator;
  let scene: Scene;
  let right: readonly string[];

  beforeAll(async () => {
    coordinator = await startCoordinator({ flags, settings });
    scene = new Scene(coordinator);
    right = (await askEach(scene.url, false)).map(({ said }) => said);
  });
  afterAll(() => coordinator.stop());

  const freedByLease = async (): Promise<number> =>
    ((await coordinator.prefills[0]!.get('ledger'))['freed'] as Record<string, number>)['lease_expired'] ?? 0;

  describe.each(AT_D.map((hanging) => ({ hanging, where: hanging.map(({ at }) => at).join(', ') })))(
    'D at its $where',
    ({ hanging }) => {
      it.each(STREAMS)('streamed: $stream', async ({ stream }) => {
        const decode = hanging.map(({ at, tokens }, index): Fault => {
          return { kind: 'hang', at, afterTokens: tokens, path: FLOWS[index]!.path, times: 1 };
        });
        const before = await freedByLease();
        const played = await scene.play({ decode }, () => askEach(scene.url, stream));
        expect(befallen(played.decode, 'hang')).toBe(FLOWS.length);
        const isTaken = (index: number): boolean => stream && hanging[index]!.tokens > 0;
        const settled = FLOWS.map((_flow, index) => ({
          [`stream_end ${stream ? hanging[index]!.ends : 'upstream_error'}`]: 1,
          [`handoffs_settled ${isTaken(index) ? 'taken' : 'freed'}`]: 1,
        }));
        expect(played.moved).toEqual(sum(settled));
        played.result.forEach((heard, index) => {
          const isBegun = isTaken(index);
          const said = isBegun ? saidAfter(right[index]!, FLOWS[index]!, hanging[index]!.tokens) : '';
          expect(heard).toMatchObject({ status: isBegun ? 200 : 504, said, error: { code: 'remote_timeout' } });
          expect([heard.isStream, heard.isDone]).toEqual([isBegun, isBegun]);
        });
        expect((await freedByLease()) - before).toBe(0);
      });
    },
  );

  describe('P: not sent again, D is never asked', () => {
    it.each(STREAMS)('at its head, its queue, its prefill (streamed: $stream)', async ({ stream }) => {
      const places: readonly HangPoint[] = ['head', 'queue', 'prefill'];
      const prefill = places.map((at, index): Fault => {
        return { kind: 'hang', at, where: 'prefill', path: FLOWS[index]!.path };
      });
      await expectTimeouts(prefill, stream);
    });

    it('when all is computed: its lease ends', async () => {
      const before = await freedByLease();
      await expectTimeouts([{ kind: 'hang', at: 'done', where: 'prefill' }], true);
      expect((await freedByLease()) - before).toBe(FLOWS.length);
    });

    async function expectTimeouts(prefill: readonly Fault[], stream: boolean): Promise<void> {
      const act = (): Promise<Heard[]> => askEach(scene.url, stream);
      const played = await scene.play({ prefill }, act, { withinMs: LEASE_MS + 2_000 });
      expect([befallen(played.prefill, 'hang'), played.prefill.length, played.decode.length]).toEqual([3, 3, 0]);
      expect(played.moved).toEqual(times(FLOWS.length, { 'stream_end upstream_error': 1 }));
      for (const heard of played.result)
        expect(heard).toMatchObject({ status: 504, isStream: false, error: { code: 'remote_timeout' } });
    }
  });

  it('is not one that is slow: a late head, pauses between tokens', async () => {
    const slow: Fault[] = [
      { kind: 'slow', at: 'head', ms: TIMEOUT_MS / 3 },
      // All of them together take longer than the timeout.
      { kind: 'slow', at: 'token', ms: TIMEOUT_MS / 4 },
    ];
    const played = await scene.play({ decode: slow }, () => askEach(scene.url, true));
    expect([befallen(played.decode, 'slow'), played.decode.length]).toEqual([FLOWS.length, FLOWS.length]);
    expect(played.moved).toEqual(times(FLOWS.length, { 'stream_end complete': 1, 'handoffs_settled taken': 1 }));
    expect(played.result.map(({ said }) => said)).toEqual(right);
  });

  it.each([
    { at: 'head', freedBy: 'lease_expired', how: "P's lease ends, since D does not know of it" },
    { at: 'load', freedBy: 'decode_aborted', how: 'D tells P' },
  ] as const)('D at its $at, and the client leaves: D is closed in the end, $how', async ({ at, freedBy }) => {
    const [flow, prefill] = [FLOWS[0]!, coordinator.prefills[0]!];
    const freed = async (): Promise<number> =>
      ((await prefill.get('ledger'))['freed'] as Record<string, number>)[freedBy] ?? 0;
    const before = await freed();
    const act = async (): Promise<void> => {
      const post = await RawPost.send(scene.url, flow.path, bodyOf({ flow, stream: true }));
      await eventually('D has it', async () => (await recordsOf(coordinator.decode)).length === 1);
      post.leave('RST');
    };
    const played = await scene.play({ decode: [{ kind: 'hang', at }] }, act, { withinMs: LEASE_MS + 2_000 });
    // A handoff is for one transfer, and D has had this one: no other D leg is sent.
    expect(played.decode.map(({ outcome, leftIn }) => [outcome, leftIn])).toEqual([
      ['aborted', at === 'head' ? 'received' : 'loading'],
    ]);
    expect(played.moved).toEqual({ 'stream_end client_gone': 1, 'handoffs_settled unknown': 1 });
    expect((await freed()) - before).toBe(1);
    console.log(`D hangs at its ${at}: all free ${Math.round(played.quietMs)} ms after the client has left`);
  });
});

describe('a D that hangs, beside a P', () => {
  it('P answers instead, as long as the client has heard nothing', async () => {
    const deployment = await startDeployment({
      ...{ connector: 'nixl', manager: 'prefill-local-decode-remote' },
      settings,
    });
    try {
      const scene = new Scene({ ...deployment, prefills: [deployment.prefill] });
      const right = (await askEach(scene.url, false)).map(({ said }) => said);
      for (const { stream } of STREAMS) {
        const decode = oncePerApi({ kind: 'hang', at: 'head' });
        const played = await scene.play({ decode }, () => askEach(scene.url, stream));
        expect(befallen(played.decode, 'hang')).toBe(FLOWS.length);
        expect(played.moved).toEqual(
          times(FLOWS.length, {
            ...{ 'stream_end complete': 1, 'local_fallback timeout': 1, 'handoffs_settled freed': 1 },
          }),
        );
        expect(played.result.map(({ said }) => said)).toEqual(right);
      }
    } finally {
      await deployment.stop();
    }
  });
});
