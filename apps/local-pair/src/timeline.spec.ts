import { describe, expect, it } from '@jest/globals';
import type { ExampleReport } from './example.js';
import { timeline } from './timeline.js';

const report: ExampleReport = {
  manager: 'prefill-local-decode-remote',
  promptTokens: 21,
  answerTokens: 101,
  firstTokenMs: 15.4,
  restMs: 200,
  prefillMs: 10,
  handoffBytes: 200 * 1024,
  handoffMs: 2,
};

const barOf = (line = ''): { from: number; length: number } => ({
  from: line.indexOf('█'),
  length: line.split('█').length - 1,
});

describe('timeline', () => {
  it('shows prefill, handoff and decode one after another on one scale', () => {
    const [prefill, handoff, decode] = timeline(report);
    expect(prefill).toMatch(/^ {2}prefill .* 10 ms {3}21 prompt tokens$/);
    expect(handoff).toMatch(/^ {2}handoff .* 2\.0 ms {3}200 KiB of KV cache$/);
    expect(decode).toMatch(/^ {2}decode .* 200 ms {3}101 tokens, 500 tokens\/s$/);
    expect(barOf(decode).length).toBeGreaterThan(barOf(prefill).length);
    expect(barOf(handoff).from).toBeGreaterThan(barOf(prefill).from);
  });

  it('ends with what the client saw', () => {
    expect(timeline(report).at(-1)).toBe('  first text after 15 ms, manager prefill-local-decode-remote');
  });

  it('says when there was no handoff', () => {
    const lines = timeline({ ...report, handoffBytes: 0 });
    expect(lines.some((line) => line.includes('handoff '))).toBe(false);
    expect(lines[1]).toMatch(/without a handoff$/);
  });

  it('draws no bar and no time for a phase that nobody has measured', () => {
    const [prefill] = timeline({ ...report, prefillMs: undefined, handoffMs: undefined });
    expect(prefill).not.toMatch(/█| ms/);
  });

  it('stands a decode of one token and of no time', () => {
    expect(timeline({ ...report, answerTokens: 1, restMs: 0 })[2]).toMatch(/1 tokens$/);
  });
});
