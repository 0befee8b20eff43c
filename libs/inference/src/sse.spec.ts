import { describe, expect, it } from '@jest/globals';
import { InferenceError } from './inference-error.js';
import { completeEventsLength, endsWithDone, SSE_DONE, sseEvent, sseFailure } from './sse.js';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');

describe('events', () => {
  it('are one line of JSON and a blank line, whatever the data holds', () => {
    expect(text(sseEvent({ text: 'a\n\nb\r\r🦊' }))).toBe('data: {"text":"a\\n\\nb\\r\\r🦊"}\n\n');
    expect(text(SSE_DONE)).toBe('data: [DONE]\n\n');
  });

  it('end a failed stream with the error, then the end mark', () => {
    const bytes = sseFailure(new InferenceError('Lost.', { status: 502, code: 'remote_reset' }));
    const [event, done, rest] = text(bytes).split('\n\n');
    expect(JSON.parse((event ?? '').slice('data: '.length))).toEqual({
      error: { message: 'Lost.', type: 'server_error', param: null, code: 'remote_reset' },
    });
    expect(done).toBe('data: [DONE]');
    expect(rest).toBe('');
    expect(endsWithDone(Buffer.from(bytes))).toBe(true);
  });
});

describe('completeEventsLength', () => {
  it.each([
    ['', 0],
    ['\n', 0],
    ['data: a', 0],
    ['data: a\n', 0],
    ['data: a\n\n', 9],
    ['data: a\n\ndata: b', 9],
    ['data: a\n\ndata: b\n', 9],
    ['data: a\n\ndata: b\n\n', 18],
    ['data: a\r\n\r\n', 11],
    ['data: a\r\n\r', 0],
    ['data: a\r\n', 0],
    ['data: a\r\n\r\ndata: b\r\n', 11],
    ['data: a\r\rdata: b\r', 9],
    ['data: a\n\ndata: b\r\n\r\ndata: c', 20],
    ['data: 🦊\n\ndata: 🦊', 12],
  ])('of %j is %d', (stream, length) => {
    expect(completeEventsLength(Buffer.from(stream))).toBe(length);
  });
});

describe('endsWithDone', () => {
  it.each([
    ['data: [DONE]\n\n', true],
    ['data:[DONE]\n\n', true],
    ['data: [DONE]\r\n\r\n', true],
    ['data: [DONE]\r\r', true],
    ['data: {}\n\ndata: [DONE]\n\n', true],
    ['data: [DONE]\n\n: ping\n\n', true],
    [`data: [DONE]\n\n: a long keep-alive comment, 2026-11-22T10:00:00.000Z\n\n`, true],
    ['', false],
    ['data: {}\n\n', false],
    ['data: [DONE]', false],
    ['data: "[DONE]"\n\n', false],
    ['data: say data: [DONE]\n\n', false],
    ['data: [DONE]\n\ndata: {}\n\n', false],
    [`data: ${'x'.repeat(4096)}\n\ndata: [DONE]\n\n`, true],
  ])('of %j is %s', (stream, is) => {
    expect(endsWithDone(Buffer.from(stream))).toBe(is);
  });

  it('ends on hostile line ends (a pattern that can match one text in many ways would not)', () => {
    expect(endsWithDone(Buffer.from(`data: [DONE]${'\r\n'.repeat(120)}x`))).toBe(false);
  });
});
