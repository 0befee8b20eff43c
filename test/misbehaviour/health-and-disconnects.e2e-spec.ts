import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Fault } from '../../apps/simulator/src/faults/fault.js';
import { startCoordinator, type Coordinator } from '../support/coordinator.js';
import { startDeployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { RawPost } from '../support/raw-client.js';
import { FLOWS } from '../support/requests.js';
import { ask, bodyOf, PROMPT } from './support/client.js';
import { recordsOf, Scene } from './support/scene.js';

const STREAM = { flow: FLOWS[0]!, stream: true };
const GENERATE = { flow: FLOWS[2]!, stream: true };
/** Half a second of decoding: enough to be seen going on for nobody. */
const TOKENS = 50;

let coordinator: Coordinator;
let scene: Scene;

beforeAll(async () => {
  coordinator = await startCoordinator({ flags: { 'decode-us-per-token': 10_000 } });
  scene = new Scene(coordinator);
});
afterAll(() => coordinator.stop());

describe.each(['prefill', 'decode'] as const)('a %s server that says it is not healthy', (role) => {
  const ready = async (): Promise<{ status: number; reason?: string }> => {
    const response = await fetch(`${scene.url}/health/ready`);
    return { status: response.status, reason: ((await response.json()) as { reason?: string }).reason };
  };
  const isUp = (): Promise<number> => coordinator.instance.metric('baton_remote_up', { pool: role });

  it('makes the coordinator not ready, and is asked all the same by who does not care', async () => {
    await eventually('it is ready at first', async () => (await ready()).status === 200 && (await isUp()) === 1);
    const { moved, result } = await scene.play({ [role]: [{ kind: 'health_503' }] }, async () => {
      await eventually('it is not ready', async () => (await ready()).status === 503 && (await isUp()) === 0);
      expect((await ready()).reason).toContain(role);
      return ask(scene.url, STREAM);
    });
    expect(result).toMatchObject({ status: 200, isDone: true, error: undefined });
    expect(moved).toEqual({ 'stream_end complete': 1, 'handoffs_settled taken': 1 });
    await eventually('it is ready again', async () => (await ready()).status === 200 && (await isUp()) === 1);
  });
});

describe('a D that does not see that its client has gone', () => {
  it('computes to its end for nobody; nothing is held for it here meanwhile', async () => {
    const { moved, decode } = await scene.play({ decode: [{ kind: 'ignore_disconnect' }] }, async () => {
      const post = await RawPost.send(scene.url, STREAM.flow.path, bodyOf(STREAM, PROMPT, TOKENS));
      await eventually('D decodes', () => post.events >= 3);
      post.leave('RST');
      await eventually('the instance holds nothing', async () => {
        const metric = await coordinator.instance.metrics();
        return metric('baton_inflight_requests') === 0 && metric('baton_handoffs_open') === 0;
      });
      const [record] = await recordsOf(coordinator.decode);
      expect(record?.tokens).toBeLessThan(TOKENS); // it is still at it
      const goesOn = async (): Promise<boolean> => (await recordsOf(coordinator.decode))[0]?.tokens === TOKENS;
      await eventually('D has come to its end', goesOn);
    });
    expect(decode).toMatchObject([{ tokens: TOKENS }]);
    expect(moved).toEqual({ 'stream_end client_gone': 1, 'handoffs_settled taken': 1 });
  });
});

describe('a P that does not see the id of the transfer (mooncake)', () => {
  it('leaves D waiting for it; the client learns so in bounded time, and D is closed', async () => {
    const flags = { 'transfer-timeout-ms': 2_000 };
    const deployment = await startDeployment({
      ...{ connector: 'mooncake', manager: 'prefill-remote-decode-remote', flags: { prefill: flags, decode: flags } },
      settings: {
        BATON_COORDINATION_DECODE_HEAD_TIMEOUT_MS: '500',
        BATON_COORDINATION_DECODE_FIRST_TOKEN_TIMEOUT_MS: '500',
        BATON_COORDINATION_DECODE_IDLE_TIMEOUT_MS: '500',
      },
    });
    try {
      const waiting = new Scene({ ...deployment, prefills: [deployment.prefill] });
      const deaf: Fault[] = [{ kind: 'ignore_top_level_params' }, { kind: 'ignore_extra_args_params' }];
      const faults = { prefill: deaf };
      const { moved, result, prefill, decode } = await waiting.play(faults, () => ask(waiting.url, GENERATE), {
        withinMs: 10_000,
      });
      expect(prefill).toMatchObject([{ outcome: 'complete' }]);
      expect(decode[0]).toMatchObject({ tokens: 0, outcome: 'aborted' });
      expect(result).toMatchObject({ status: 504, error: { code: 'remote_timeout' } });
      expect(moved['stream_end timeout_first_token']).toBe(1);
    } finally {
      await deployment.stop();
    }
  });
});
