import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { TruthfulEvents } from './truthful-events.js';

const delta = (finish: string | null = null, index = 0): string =>
  `data: {"id":"a","choices":[{"index":${index},"text":" owl","finish_reason":${JSON.stringify(finish)}}],"usage":null}\n\n`;
const ERROR = 'data: {"error":{"message":"no"}}\n\n';
const FLAT = 'data: {"object":"error","message":"no","code":500}\n\n';
const DONE = 'data: [DONE]\n\n';
const PING = ': ping\n\n';

/** What goes on of each chunk, and how the stream ends. */
function take(chunks: readonly string[], choices = 1): { forward: string[]; end: unknown } {
  const events = new TruthfulEvents({ choices });
  const forward: string[] = [];
  for (const chunk of chunks) {
    const taken = events.take(Buffer.from(chunk));
    forward.push(String(taken.forward));
    if (taken.error) return { forward, end: taken.error.code };
  }
  return { forward, end: events.end()?.code ?? 'success' };
}

describe('TruthfulEvents', () => {
  afterEach(() => {
    jest.restoreAllMocks();
  });

  it.each<[string, string[], string[], string]>([
    ['a success', [delta(), delta('stop'), DONE], [delta(), delta('stop'), DONE], 'success'],
    ['one in one chunk', [delta('stop') + DONE], [delta('stop') + DONE], 'success'],
    [
      'comments',
      [delta() + PING, PING, delta('stop') + DONE, PING],
      [delta() + PING, PING, delta('stop') + DONE, PING],
      'success',
    ],
    ['comments before the answer', [PING, PING + delta('stop'), DONE], ['', PING + delta('stop'), DONE], 'success'],
    [
      'data behind the mark',
      [delta('stop') + DONE + delta() + PING, ERROR],
      [delta('stop') + DONE + PING, ''],
      'success',
    ],
    ['an error at once', [PING, PING + ERROR + DONE], ['', ''], 'upstream_error_event'],
    ['a flat error', [FLAT], [''], 'upstream_error_event'],
    ['an error behind data', [delta() + PING + ERROR + DONE], [delta() + PING], 'upstream_error_event'],
    ['an abort', [delta(), delta() + delta('abort') + DONE], [delta(), delta()], 'upstream_aborted'],
    ['the mark alone', [DONE], [''], 'upstream_incomplete'],
    ['the mark without a finish reason', [delta() + DONE], [delta()], 'upstream_incomplete'],
    ['no mark', [delta(), delta('stop')], [delta(), delta('stop')], 'upstream_truncated'],
    ['nothing', [], [], 'upstream_truncated'],
    ['no JSON where it counts', [delta(), 'data: {"finish_reason":"stop"\n\n'], [delta(), ''], 'bad_upstream_answer'],
    [
      'no JSON where it does not',
      ['data: first\n\n', delta('stop') + DONE],
      ['data: first\n\n', delta('stop') + DONE],
      'success',
    ],
    [
      'a token that says error',
      [delta().replace(' owl', 'error'), delta('stop') + DONE],
      [delta().replace(' owl', 'error'), delta('stop') + DONE],
      'success',
    ],
    [
      'other line ends',
      ['data:{"choices":[{"finish_reason":"stop"}]}\r\n\r\n', 'data:[DONE]\r\n\r\n'],
      ['data:{"choices":[{"finish_reason":"stop"}]}\r\n\r\n', 'data:[DONE]\r\n\r\n'],
      'success',
    ],
  ])('takes %s', (_what, chunks, forward, end) => {
    expect(take(chunks)).toEqual({ forward, end });
  });

  it('is over at the end mark', () => {
    const events = new TruthfulEvents({ choices: 1 });
    events.take(Buffer.from(delta('stop')));
    expect(events.isOver).toBe(false);
    events.take(Buffer.from(DONE));
    expect(events.isOver).toBe(true);
  });

  it('wants a finish reason for every choice', () => {
    expect(take([delta('stop', 1) + delta('stop', 0) + DONE], 2).end).toBe('success');
    expect(take([delta('stop', 1) + DONE], 2)).toEqual({ forward: [delta('stop', 1)], end: 'upstream_incomplete' });
  });

  it('reads nothing of what says nothing', () => {
    const events = new TruthfulEvents({ choices: 1 });
    events.take(Buffer.from(delta()));
    const chunk = Buffer.from(delta() + delta());
    const parse = jest.spyOn(JSON, 'parse');
    const decode = jest.spyOn(chunk, 'toString');
    for (let count = 0; count < 10_000; count += 1) expect(events.take(chunk).forward).toBe(chunk);
    expect(parse).not.toHaveBeenCalled();
    expect(decode).not.toHaveBeenCalled();
  });
});
