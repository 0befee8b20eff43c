import { describe, expect, it } from '@jest/globals';
import { shownLine } from './instance-log.js';

const record = (level: number | string, msg: string, more = {}): string => JSON.stringify({ level, msg, ...more });

describe('shownLine', () => {
  it('hides what is no warning', () => {
    expect(shownLine(record(30, 'listening'), 'stdout', false)).toBeUndefined();
    expect(shownLine(record('info', 'listening'), 'stderr', false)).toBeUndefined();
    expect(shownLine('plain text', 'stdout', false)).toBeUndefined();
  });

  it('shows a warning as its message, with the error that caused it', () => {
    expect(shownLine(record(40, 'slow'), 'stdout', false)).toBe('slow');
    expect(shownLine(record('error', 'failed', { err: { message: 'no room' } }), 'stdout', false)).toBe(
      'failed: no room',
    );
  });

  it('shows a warning without words as it came', () => {
    expect(shownLine('{"level":50}', 'stdout', false)).toBe('{"level":50}');
  });

  it('shows plain lines on stderr, for they say why a process ends', () => {
    expect(shownLine('engine.model: no such file', 'stderr', false)).toBe('engine.model: no such file');
    expect(shownLine('{broken', 'stderr', false)).toBe('{broken');
    expect(shownLine('  ', 'stderr', false)).toBeUndefined();
  });

  it('shows everything as it came when verbose', () => {
    expect(shownLine(record(30, 'listening'), 'stdout', true)).toBe('{"level":30,"msg":"listening"}');
  });
});
