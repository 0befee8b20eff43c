import { bytesPart, completeEventsLength, type ResponsePart } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Observable, type Subscriber } from 'rxjs';
import { EventStreamSink, WholeBodySink, type AnswerSink } from './answer-sink.js';

interface Outcome {
  readonly parts: Buffer[];
  readonly end: 'open' | 'complete' | Error;
}

/** What a sink makes of an answer that comes in these chunks. */
function feed(chunks: readonly Buffer[], sinkFor: (subscriber: Subscriber<ResponsePart>) => AnswerSink): Outcome {
  const parts: Buffer[] = [];
  let end: Outcome['end'] = 'open';
  new Observable<ResponsePart>((subscriber) => {
    const sink = sinkFor(subscriber);
    for (const chunk of chunks) if (!subscriber.closed) sink.data(chunk);
    if (!subscriber.closed) sink.end();
  }).subscribe({
    next: (part) => part.kind === 'bytes' && parts.push(Buffer.from(part.bytes)),
    error: (error: Error) => (end = error),
    complete: () => (end = 'complete'),
  });
  return { parts, end };
}

const events = (chunks: readonly Buffer[], maxEventBytes = 1 << 20): Outcome =>
  feed(chunks, (subscriber) => new EventStreamSink(subscriber, maxEventBytes));

/** `bytes` cut at the given places. */
function cutAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [0, ...[...places].map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end));
}

const lineEnd = fc.constantFrom('\n', '\r\n', '\r');
const word = fc.string({ unit: fc.constantFrom('a', ' ', ':', '{', '"', 'é', '漢', '🦊', '👩‍👩‍👧', 'data: [DONE]') });
const event = fc.record({ kind: fc.constantFrom('data: ', 'data:', ': ', 'event: ping', 'id: '), word });
const places = fc.array(fc.nat(), { maxLength: 40 });

/** A well-formed stream with one kind of line end, with comments behind its end mark. */
const stream = fc
  .record({
    eol: lineEnd,
    body: fc.array(event, { maxLength: 12 }),
    after: fc.array(word, { maxLength: 2 }),
  })
  .map(({ eol, body, after }) =>
    [
      'data: first',
      ...body.map(({ kind, word }) => `${kind}${word}`),
      'data: [DONE]',
      ...after.map((comment) => `:${comment}`),
    ]
      .map((line) => `${line}${eol}${eol}`)
      .join(''),
  )
  .map((text) => Buffer.from(text));

describe('EventStreamSink', () => {
  it('gives the same bytes, in whole events, wherever the stream is cut', () => {
    fc.assert(
      fc.property(stream, places, (bytes, cuts) => {
        const { parts, end } = events(cutAt(bytes, cuts));
        expect(end).toBe('complete');
        expect(Buffer.concat(parts)).toEqual(bytes);
        for (const part of parts) expect(completeEventsLength(part)).toBe(part.length);
      }),
    );
  });

  it('gives the same bytes when every byte comes alone', () => {
    fc.assert(
      fc.property(stream, (bytes) => {
        const { parts, end } = events([...bytes].map((byte) => Buffer.of(byte)));
        expect(end).toBe('complete');
        expect(Buffer.concat(parts)).toEqual(bytes);
      }),
    );
  });

  it('emits whole events only, and fails, wherever the stream is broken off before its end mark', () => {
    fc.assert(
      fc.property(stream, places, fc.nat(), (bytes, cuts, length) => {
        const broken = bytes.subarray(0, length % (bytes.indexOf('data: [DONE]') + 1));
        const { parts, end } = events(cutAt(broken, cuts));
        expect(end).toMatchObject({ status: 502, code: 'upstream_truncated' });
        const sent = Buffer.concat(parts);
        expect(sent).toEqual(broken.subarray(0, sent.length));
        for (const part of parts) expect(completeEventsLength(part)).toBe(part.length);
      }),
    );
  });

  it('emits an event as soon as it is whole', () => {
    expect(
      events([Buffer.from('data: a\n\nda'), Buffer.from('ta: b\n'), Buffer.from('\ndata: [DONE]\n\n')]).parts.map(
        String,
      ),
    ).toEqual(['data: a\n\n', 'data: b\n\ndata: [DONE]\n\n']);
  });

  it('is whole when a keep-alive comment follows the end mark in a chunk of its own', () => {
    const chunks = ['data: a\n\n', 'data: [DONE]\n\n', ': ping\n\n'].map((text) => Buffer.from(text));
    expect(events(chunks).end).toBe('complete');
  });

  it.each(['data: [DONE]\n\n', 'data:{"error":{"message":"no"}}\n\ndata: [DONE]\n\n'])(
    'takes %j for a failure before the first token: nothing is passed on',
    (text) => {
      const failed = { parts: [], end: { status: 502, code: 'upstream_failed' } };
      expect(events([Buffer.from(text)])).toMatchObject(failed);
      expect(events([Buffer.from(': ping\n\n'), Buffer.from(text)]).end).toMatchObject(failed.end);
    },
  );

  it('passes an error on that comes after the first token', () => {
    const text = 'data: a\n\ndata: {"error":{"message":"no"}}\n\ndata: [DONE]\n\n';
    expect(events([Buffer.from(text)])).toMatchObject({ parts: [Buffer.from(text)], end: 'complete' });
  });

  it('is whole when a comment comes before the end mark in its chunk', () => {
    expect(events([Buffer.from('data: a\n\n'), Buffer.from(': ping\n\ndata: [DONE]\n\n')]).end).toBe('complete');
  });

  it('does not keep more of an unfinished event than its bound', () => {
    const { parts, end } = events(
      [Buffer.from('data: a\n\n'), Buffer.alloc(60, 'x'), Buffer.alloc(60, 'x'), Buffer.from('\n\n')],
      100,
    );
    expect(parts.map(String)).toEqual(['data: a\n\n']);
    expect(end).toMatchObject({ status: 502, code: 'bad_upstream_answer' });
  });

  it('fails when nothing came', () => {
    expect(events([]).end).toMatchObject({ status: 502, code: 'upstream_truncated' });
  });
});

describe('WholeBodySink', () => {
  const whole = (chunks: readonly string[], maxBytes: number): Outcome =>
    feed(
      chunks.map((chunk) => Buffer.from(chunk)),
      (subscriber) =>
        new WholeBodySink(subscriber, maxBytes, (body) => {
          subscriber.next(bytesPart(body));
          subscriber.complete();
        }),
    );

  it('joins the chunks', () => {
    expect(whole(['{"a"', ':1}'], 7).parts.map(String)).toEqual(['{"a":1}']);
    expect(whole([], 7)).toMatchObject({ parts: [Buffer.alloc(0)], end: 'complete' });
  });

  it('fails as soon as the answer is longer than its bound', () => {
    expect(whole(['{"a"', ':12}'], 7)).toMatchObject({ parts: [], end: { status: 502 } });
  });
});
