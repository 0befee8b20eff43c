import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Fault } from '../../apps/simulator/src/faults/fault.js';
import { startCoordinator, type Coordinator } from '../support/coordinator.js';
import { FLOWS, type Flow } from '../support/requests.js';
import { ask, bodyOf, TOKENS } from './support/client.js';
import { times } from './support/counters.js';
import { befallen, Scene } from './support/scene.js';

const ROWS: readonly { what: string; faults: readonly Fault[] }[] = [
  { what: 'comments between events', faults: [{ kind: 'sse_comments' }] },
  { what: 'a comment before every second event', faults: [{ kind: 'sse_comments', every: 2 }] },
  { what: 'lines that end with CRLF', faults: [{ kind: 'sse_framing', newline: 'crlf' }] },
  { what: 'lines that end with CR', faults: [{ kind: 'sse_framing', newline: 'cr' }] },
  { what: 'no space behind data:', faults: [{ kind: 'sse_framing', space: false }] },
  { what: 'data of several lines', faults: [{ kind: 'sse_framing', multiline: true }] },
  { what: 'event: lines', faults: [{ kind: 'sse_framing', eventLines: true }] },
  { what: 'chunks of one byte', faults: [{ kind: 'sse_framing', chunkBytes: 1 }] },
  { what: 'chunks of seven bytes, CRLF', faults: [{ kind: 'sse_framing', chunkBytes: 7, newline: 'crlf' }] },
  {
    what: 'all of it',
    faults: [
      { kind: 'sse_comments' },
      { kind: 'sse_framing', chunkBytes: 3, newline: 'crlf', space: false, multiline: true, eventLines: true },
    ],
  },
];

const withUsage = (flow: Flow) => ({
  body: { ...bodyOf({ flow, stream: true }), stream_options: { include_usage: true } },
});

describe('a D that frames its events otherwise', () => {
  let coordinator: Coordinator;
  let scene: Scene;

  beforeAll(async () => {
    coordinator = await startCoordinator();
    scene = new Scene(coordinator);
  });
  afterAll(() => coordinator.stop());

  it.each(ROWS)('$what: the same content', async ({ faults }) => {
    const play = (decode: readonly Fault[]) =>
      scene.play({ decode }, () =>
        Promise.all(FLOWS.map((flow) => ask(scene.url, { flow, stream: true }, withUsage(flow)))),
      );
    const [plain, framed] = [await play([]), await play(faults)];
    for (const { kind } of faults) expect(befallen(framed.decode, kind)).toBe(FLOWS.length);
    expect(framed.moved).toEqual(times(FLOWS.length, { 'stream_end complete': 1, 'handoffs_settled taken': 1 }));
    framed.result.forEach(({ status, said, finish, error, isDone, events }, index) => {
      expect({ status, said, finish, error, isDone }).toEqual({
        ...{ status: 200, said: plain.result[index]!.said, finish: 'length', error: undefined, isDone: true },
      });
      expect(events).toHaveLength(plain.result[index]!.events.length);
      expect(events.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: TOKENS } });
    });
  });

  it.each(['lf', 'crlf', 'cr'] as const)('an error event behind lines that end with %s is one', async (newline) => {
    const asked = { flow: FLOWS[0]!, stream: true };
    const faults: Fault[] = [
      { kind: 'sse_framing', newline, space: false },
      { kind: 'error_frame', afterTokens: 2 },
    ];
    const played = await scene.play({ decode: faults }, () => ask(scene.url, asked));
    expect(played.moved).toEqual({ 'stream_end upstream_error_event': 1, 'handoffs_settled taken': 1 });
    expect(played.result).toMatchObject({ isDone: true, error: { code: 'upstream_error_event' } });
  });
});
