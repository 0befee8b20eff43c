import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Fault } from '../../apps/simulator/src/faults/fault.js';
import type { RequestRecord } from '../../apps/simulator/src/http/request-record.js';
import { startDeployment, type SimulatedConnector } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { RawPost, type Leaving } from '../support/raw-client.js';
import { FLOWS } from '../support/requests.js';
import type { SimulatorProcess } from '../support/simulator-process.js';
import { bodyOf, PROMPT } from './support/client.js';
import { recordsOf, Scene, type Played } from './support/scene.js';

/** A stream that would take seconds: what ends earlier was closed. */
const MANY_TOKENS = 400;
/** The first part of an answer that is not streamed is all of it, so D is let go on to its end. */
const FEW_TOKENS = 20;
const flags = { 'decode-us-per-token': 10_000 };
/** Leases, and the timeouts of the other protocols, are 30 s and more. */
const FREE_WITHIN_MS = 1_500;

const CONNECTORS: readonly { connector: SimulatedConnector; isConcurrent: boolean }[] = [
  { connector: 'nixl', isConcurrent: false },
  { connector: 'trtllm', isConcurrent: false },
  { connector: 'mooncake', isConcurrent: true },
  { connector: 'sglang', isConcurrent: true },
];

const WAYS: readonly { stream: boolean; how: Leaving; flow: (typeof FLOWS)[number] }[] = [
  { stream: true, how: 'RST', flow: FLOWS[0]! },
  { stream: true, how: 'FIN', flow: FLOWS[1]! },
  { stream: false, how: 'RST', flow: FLOWS[2]! },
];

describe.each(CONNECTORS)('a client that leaves ($connector)', ({ connector, isConcurrent }) => {
  let scene: Scene;
  let prefill: SimulatorProcess;
  let decode: SimulatorProcess;
  let stop: () => Promise<void>;

  beforeAll(async () => {
    const deployment = await startDeployment({
      ...{ connector, manager: 'prefill-remote-decode-remote', flags: { prefill: flags, decode: flags } },
    });
    ({ prefill, decode, stop } = deployment);
    scene = new Scene({ ...deployment, prefills: [prefill] });
  });
  afterAll(() => stop());

  const recordOf = async (simulator: SimulatorProcess): Promise<RequestRecord | undefined> =>
    (await recordsOf(simulator)).at(-1);

  /** Asks for a long answer and leaves as soon as `isThere`; `afterwards`, what hangs may go on. */
  const leave = (
    way: (typeof WAYS)[number],
    faults: { prefill?: Fault[]; decode?: Fault[] },
    isThere: (post: RawPost) => Promise<boolean>,
    afterwards?: () => Promise<void>,
  ): Promise<Played<void>> =>
    scene.play(
      faults,
      async () => {
        const post = await RawPost.send(
          scene.url,
          way.flow.path,
          bodyOf(way, PROMPT, way.stream ? MANY_TOKENS : FEW_TOKENS),
        );
        await eventually('it is there', () => isThere(post));
        const ended = await scene.cast.instance.metric('baton_stream_end_total', { reason: 'client_gone' });
        post.leave(way.how);
        await eventually('the instance has noticed', async () => {
          return (await scene.cast.instance.metric('baton_stream_end_total', { reason: 'client_gone' })) > ended;
        });
        await afterwards?.();
      },
      { withinMs: FREE_WITHIN_MS },
    );

  const report = (phase: string, { quietMs }: Played<unknown>): void =>
    console.log(`${connector}, ${phase}: all free within ${Math.round(quietMs)} ms (bound: ${FREE_WITHIN_MS} ms)`);

  /** Both sides go on although the client has left: the transfer is finished first. */
  const goesOn = async (): Promise<void> => {
    expect(await scene.cast.instance.metric('baton_handoffs_open')).toBe(1);
    expect((await recordOf(decode))?.leftIn).toBeUndefined();
    if (isConcurrent) expect((await recordOf(prefill))?.leftIn).toBeUndefined();
    await scene.misbehave({});
  };

  describe.each(WAYS)('$flow.api, streamed: $stream, by $how', (way) => {
    it('while P computes', async () => {
      const faults = { prefill: [{ kind: 'hang', at: 'prefill' } satisfies Fault] };
      const isThere = async (): Promise<boolean> => (await recordOf(prefill))?.phase === 'prefill';
      const played = await leave(way, faults, isThere, isConcurrent ? goesOn : undefined);
      report('P computes', played);
      if (isConcurrent) expectTransferred(played);
      else {
        expect(played.moved).toEqual({ 'stream_end client_gone': 1 });
        expect(played.decode).toEqual([]);
        expect(played.prefill).toMatchObject([{ leftIn: 'prefill', tokens: 0 }]);
      }
    });

    it.each(['head', 'load'] as const)('while D is at its %s', async (at) => {
      const faults = { decode: [{ kind: 'hang', at } satisfies Fault] };
      const phase = at === 'head' ? 'received' : 'loading';
      const isThere = async (): Promise<boolean> => {
        const isPrefilled = isConcurrent || (await recordOf(prefill))?.outcome === 'complete';
        return isPrefilled && (await recordOf(decode))?.phase === phase;
      };
      const played = await leave(way, faults, isThere, goesOn);
      report(`D at its ${at}`, played);
      expectTransferred(played);
    });

    if (way.stream) {
      it('while D decodes', async () => {
        const faults = { decode: [{ kind: 'hang', at: 'token', afterTokens: 2 } satisfies Fault] };
        const isThere = async (post: RawPost): Promise<boolean> => {
          return post.events >= 2 && (await recordOf(decode))?.tokens === 2;
        };
        const played = await leave(way, faults, isThere);
        report('D decodes', played);
        expect(played.moved).toEqual({ 'stream_end client_gone': 1, 'handoffs_settled taken': 1 });
        expect(played.decode).toMatchObject([{ leftIn: 'decode', tokens: 2 }]);
      });
    }

    /** D took the KV, and was closed with its first part. */
    function expectTransferred({ moved, prefill: sent, decode: received }: Played<unknown>): void {
      expect(moved).toEqual({ 'stream_end client_gone': 1, 'handoffs_settled taken': 1 });
      expect(sent).toMatchObject([{ outcome: 'complete' }]);
      const closed = way.stream
        ? { outcome: 'aborted', leftIn: 'decode' }
        : { outcome: 'complete', tokens: FEW_TOKENS };
      expect(received).toMatchObject([closed]);
      expect(received[0]!.tokens).toBeLessThan(MANY_TOKENS);
    }
  });
});
