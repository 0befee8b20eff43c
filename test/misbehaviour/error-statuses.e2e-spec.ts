import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ErrorShape, Fault } from '../../apps/simulator/src/faults/fault.js';
import { startCoordinator, type Coordinator } from '../support/coordinator.js';
import { FLOWS } from '../support/requests.js';
import { ask, type Asked, type Heard } from './support/client.js';
import { sum, type Counters } from './support/counters.js';
import { befallen, Scene } from './support/scene.js';

const READABLE: readonly ErrorShape[] = ['dialect', 'nested', 'flat', 'string-code'];
const UNREADABLE: readonly ErrorShape[] = ['text', 'html', 'empty', 'broken'];
const SHAPES = [...READABLE, ...UNREADABLE];
const WORDS = 'The words of the server.';

/** What the client sees, and why its answer ended. */
interface Seen {
  readonly status: number;
  readonly reason: string;
  /** Undefined: the server's own words. */
  readonly code?: string;
}

const words = (status: number): Seen => ({ status, reason: 'client_error' });
const refused: Seen = { status: 502, reason: 'upstream_error', code: 'remote_refused' };
const failed: Seen = { status: 502, reason: 'upstream_error', code: 'remote_failed' };
const unsupported: Seen = { status: 501, reason: 'server_error', code: 'not_supported' };
const busy: Seen = { status: 503, reason: 'upstream_error', code: 'remote_busy' };

/** By the status and whether its body can be read. A prefill that is retried is in `retries.e2e-spec.ts`. */
const ROWS: readonly { status: number; readable: Seen; unreadable: Seen; onlyDecode?: true }[] = [
  { status: 400, readable: words(400), unreadable: { ...words(400), code: 'remote_refused' } },
  // The key is not the client's.
  { status: 401, readable: refused, unreadable: refused },
  { status: 403, readable: refused, unreadable: refused },
  { status: 404, readable: words(404), unreadable: refused },
  { status: 422, readable: words(422), unreadable: { ...words(422), code: 'remote_refused' } },
  { status: 429, readable: busy, unreadable: busy },
  { status: 500, readable: failed, unreadable: failed },
  { status: 501, readable: unsupported, unreadable: unsupported },
  { status: 502, readable: failed, unreadable: failed, onlyDecode: true },
  { status: 503, readable: busy, unreadable: busy, onlyDecode: true },
  { status: 504, readable: failed, unreadable: failed, onlyDecode: true },
];

const CASES = (['prefill', 'decode'] as const).flatMap((side) =>
  ROWS.filter(({ onlyDecode }) => side === 'decode' || onlyDecode !== true).map((row) => ({ side, ...row })),
);

interface Shaped extends Asked {
  readonly shape: ErrorShape;
}

/** Every shape, every second one streamed, in groups of one request for each api. */
const GROUPS: readonly (readonly Shaped[])[] = [SHAPES.slice(0, 3), SHAPES.slice(3, 6), SHAPES.slice(5)].map((shapes) =>
  shapes.map((shape, index) => ({ shape, stream: SHAPES.indexOf(shape) % 2 === 0, flow: FLOWS[index]! })),
);

describe('a leg that is answered with an error status', () => {
  let coordinator: Coordinator;
  let scene: Scene;

  beforeAll(async () => {
    coordinator = await startCoordinator();
    scene = new Scene(coordinator);
  });
  afterAll(() => coordinator.stop());

  it.each(CASES)('$side says $status, with every shape of body: never sent again', async (row) => {
    const { side, status } = row;
    for (const group of GROUPS) {
      // One fault for each path, once: the legs that free what P holds are answered as they should be.
      const faults = group.map(({ flow, shape }): Fault => {
        return { kind: 'http_status', status, shape, message: WORDS, where: side, path: flow.path, times: 1 };
      });
      const seen = group.map(({ shape }) => (READABLE.includes(shape) ? row.readable : row.unreadable));
      const played = await scene.play({ [side]: faults }, () => Promise.all(group.map((each) => ask(scene.url, each))));
      expect(befallen(played[side], 'http_status')).toBe(group.length);
      expect(played.prefill).toHaveLength(group.length);
      expect(played.decode).toHaveLength(side === 'decode' ? 2 * group.length : 0);
      expect(played.moved).toEqual(sum(seen.map((each) => countersOf(each, side))));
      played.result.forEach((heard, index) => check(heard, seen[index]!));
    }
  });

  function countersOf({ reason }: Seen, side: 'prefill' | 'decode'): Counters {
    return { [`stream_end ${reason}`]: 1, ...(side === 'decode' && { 'handoffs_settled freed': 1 }) };
  }

  function check({ status, isStream, error, text }: Heard, seen: Seen): void {
    expect({ status, isStream }).toEqual({ status: seen.status, isStream: false });
    if (seen.code === undefined) expect(error?.['message']).toBe(WORDS);
    else {
      expect(error).toMatchObject({ code: seen.code });
      expect(text).not.toContain(WORDS);
    }
  }
});
