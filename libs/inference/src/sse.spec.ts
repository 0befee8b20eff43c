import { describe, expect, it } from '@jest/globals';
import { InferenceError } from './inference-error.js';
import { completeEventsLength, SSE_DONE, sseEvent, sseFailure } from './sse.js';

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
