import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startDeployment } from '../support/deployment.js';
import { FLOWS } from '../support/requests.js';
import { ask, bodyOf, PROMPT, type Asked } from './support/client.js';
import { LEASE_MS, PROTOCOLS } from './support/protocols.js';
import { befallen, Scene } from './support/scene.js';

const ASKED: readonly Asked[] = [
  { flow: FLOWS[0]!, stream: true },
  { flow: FLOWS[1]!, stream: false },
];

describe.each(PROTOCOLS)('misbehaviour in the protocol of $connector', ({ connector, flags = {}, rows }) => {
  let scene: Scene;
  let stop: () => Promise<void>;

  beforeAll(async () => {
    const deployment = await startDeployment({
      ...{ connector, manager: 'prefill-remote-decode-remote', flags },
      // Some of them cannot be freed by anybody.
      settings: { BATON_COORDINATION_RELEASE_TIMEOUT_MS: '300' },
    });
    scene = new Scene({ ...deployment, prefills: [deployment.prefill] });
    stop = () => deployment.stop();
  });
  afterAll(() => stop());

  it.each(rows)('$what', async (row) => {
    for (const asked of ASKED) {
      const body = bodyOf(asked, row.prompt ?? PROMPT);
      const plain = await ask(scene.url, asked, { body });
      const faults = {
        ...(row.prefill !== undefined && { prefill: [row.prefill] }),
        ...(row.decode !== undefined && { decode: [row.decode] }),
      };
      const quiet = row.leasesMayStay === true ? { leasesMayStay: true } : {};
      const played = await scene.play(faults, () => ask(scene.url, asked, { body }), quiet);
      if (row.prefill !== undefined) expect(befallen(played.prefill, row.prefill.kind)).toBe(1);
      if (row.decode !== undefined) expect(befallen(played.decode, row.decode.kind)).toBe(1);
      const moved = (asked.stream ? row.movedStreamed : undefined) ?? row.moved;
      expect({ stream: asked.stream, ...played.moved }).toEqual({ stream: asked.stream, ...moved });
      const outcome = (asked.stream ? row.streamed : undefined) ?? row.heard;
      if (typeof outcome === 'object') {
        expect(played.result).toMatchObject({ status: outcome.status, error: { code: outcome.code } });
        // What is not an answer shows nothing of one.
        if (outcome.status !== 200) expect(played.result).toMatchObject({ said: '', isStream: false });
      } else {
        const [said, finish] = outcome === 'empty' ? ['', 'stop'] : [plain.said, plain.finish];
        expect(played.result).toMatchObject({ status: 200, said, finish, error: undefined, isDone: asked.stream });
      }
      if (row.decodes !== undefined) expect(played.decode).toHaveLength(row.decodes);
    }
    if (row.leasesMayStay === true) await scene.quiet({ withinMs: LEASE_MS + 1_000 });
  });
});
