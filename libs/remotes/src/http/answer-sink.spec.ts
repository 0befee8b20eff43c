import { bytesPart, completeEventsLength, InferenceError, type ResponsePart } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Observable, type Subscriber } from 'rxjs';
import type { AnswerTranslator } from '../dialects/dialect.js';
import { EventStreamSink, WholeBodySink, type AnswerReading, type AnswerSink } from './answer-sink.js';

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

const events = (chunks: readonly Buffer[], maxEventBytes = 1 << 20, reading: Partial<AnswerReading> = {}): Outcome =>
  feed(chunks, (subscriber) => new EventStreamSink(subscriber, maxEventBytes, { choices: 1, ...reading }));

const DONE = 'data: [DONE]';
const FINISH = 'data: {"choices":[{"index":0,"finish_reason":"stop"}]}';

/** `bytes` cut at the given places. */
function cutAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [0, ...[...places].map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end));
}

const lineEnd = fc.constantFrom('\n', '\r\n', '\r');
const word = fc.string({ unit: fc.constantFrom('a', ' ', ':', '{', '"', 'é', '漢', '🦊', '👩‍👩‍👧', 'data: ') });
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
      FINISH,
      'data: [DONE]',
      ...after.map((comment) => `:${comment}`),
    ]
      .map((line) => `${line}${eol}${eol}`)
      .join(''),
  )
  .map((text) => Buffer.from(text));

describe('EventStreamSink', () => {
  it('gives the same bytes up to the end mark, in whole events, wherever the stream is cut', () => {
    fc.assert(
      fc.property(stream, places, (bytes, cuts) => {
        const { parts, end } = events(cutAt(bytes, cuts));
        expect(end).toBe('complete');
        const sent = Buffer.concat(parts);
        expect(sent).toEqual(bytes.subarray(0, sent.length));
        expect(sent.length).toBeGreaterThan(bytes.indexOf(DONE) + DONE.length);
        for (const part of parts) expect(completeEventsLength(part)).toBe(part.length);
      }),
    );
  });

  it('gives the same bytes when every byte comes alone', () => {
    fc.assert(
      fc.property(stream, (bytes) => {
        const { parts, end } = events([...bytes].map((byte) => Buffer.of(byte)));
        expect(end).toBe('complete');
        const sent = Buffer.concat(parts).toString();
        expect(bytes.toString().startsWith(sent)).toBe(true);
        expect(sent.trimEnd().endsWith(DONE)).toBe(true);
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
    const chunks = ['data: a\n\nda', 'ta: b\n', `\n${FINISH}\n\ndata: [DONE]\n\n`].map((text) => Buffer.from(text));
    expect(events(chunks).parts.map(String)).toEqual(['data: a\n\n', `data: b\n\n${FINISH}\n\ndata: [DONE]\n\n`]);
  });

  it('is whole at the end mark, before its last part goes on and although the body does', () => {
    const seen: unknown[] = [];
    new Observable<ResponsePart>((subscriber) => {
      const sink = new EventStreamSink(subscriber, 1 << 20, { choices: 1 });
      seen.push(sink.lastWord);
      subscriber.add(() => seen.push(sink.lastWord));
      sink.data(Buffer.from(`${FINISH}\n\n`));
      seen.push(sink.lastWord);
      sink.data(Buffer.from(`${DONE}\n\n`));
    }).subscribe({ next: () => seen.push('part'), complete: () => seen.push('complete') });
    expect(seen).toEqual([undefined, 'part', undefined, 'part', 'complete', 'success']);
  });

  it('is whole when a keep-alive comment comes before the end mark, or after it in a chunk of its own', () => {
    const chunks = [`${FINISH}\n\n`, ': ping\n\ndata: [DONE]\n\n', ': ping\n\n'].map((text) => Buffer.from(text));
    expect(events(chunks).end).toBe('complete');
  });

  it.each([
    ['upstream_incomplete', 'data: [DONE]\n\n'],
    ['upstream_error_event', 'data:{"error":{"message":"no"}}\n\ndata: [DONE]\n\n'],
    ['upstream_aborted', 'data: {"choices":[{"index":0,"finish_reason":"abort"}]}\n\ndata: [DONE]\n\n'],
  ])('fails with %s, and passes on nothing but what came before', (code, text) => {
    const failed = { status: 502, code };
    expect(events([Buffer.from(text)])).toMatchObject({ parts: [], end: failed });
    expect(events([Buffer.from('data: a\n\n'), Buffer.from(text)])).toMatchObject({
      parts: [Buffer.from('data: a\n\n')],
      end: failed,
    });
  });

  it('wants as many choices to end as were asked for', () => {
    const text = Buffer.from(`${FINISH}\n\ndata: [DONE]\n\n`);
    expect(events([text], 1 << 20, { choices: 2 }).end).toMatchObject({ code: 'upstream_incomplete' });
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

describe('EventStreamSink with a translator', () => {
  /** Doubles each event; `{"stop":true}` ends the one choice. */
  const translator = (sendsNoMark = false): AnswerTranslator => {
    let isWhole = false;
    return {
      whole: () => ({}),
      event: (data) => {
        if (data['bad'] === true) throw new InferenceError('No.', { status: 502, code: 'bad_upstream_answer' });
        isWhole ||= data['stop'] === true;
        return data['stop'] === true ? [{ choices: [{ index: 0, finish_reason: 'stop' }] }] : [data, data];
      },
      ...(sendsNoMark ? { isWhole: () => isWhole } : {}),
    };
  };
  const translated = (text: string, sendsNoMark?: boolean): Outcome =>
    events([Buffer.from(text)], 1 << 20, { translator: translator(sendsNoMark) });
  const TWICE = 'data: {"a":9007199254740993}\n\n'.repeat(2);

  it('writes each event as it says, whatever the line ends, with every digit, and keeps comments', () => {
    const text =
      'data:{"a":\r\ndata: 9007199254740993}\r\n\r\n: ping\n\nevent: x\n\ndata: {"stop":true}\r\rdata: [DONE]\n\n';
    const { parts, end } = translated(text);
    expect(end).toBe('complete');
    expect(Buffer.concat(parts).toString()).toBe(`${TWICE}: ping\n\nevent: x\n\n${FINISH}\n\ndata: [DONE]\n\n`);
  });

  it('adds the end mark where the server sends none, once every choice has ended', () => {
    const { parts, end } = translated('data: {"stop":true}\n\n', true);
    expect(end).toBe('complete');
    expect(Buffer.concat(parts).toString()).toBe(`${FINISH}\n\ndata: [DONE]\n\n`);
    expect(translated('data: {"a":1}\n\n', true).end).toMatchObject({ code: 'upstream_truncated' });
    expect(translated('data: {"stop":true}\n\n').end).toMatchObject({ code: 'upstream_truncated' });
    expect(Buffer.concat(translated('data: {"stop":true}\n\ndata: [DONE]\n\n', true).parts).toString()).toBe(
      `${FINISH}\n\ndata: [DONE]\n\n`,
    );
  });

  it.each(['data: no\n\n', 'data: [1]\n\n', 'data: {"bad":true}\n\n'])('fails at %j', (text) => {
    expect(translated(text)).toMatchObject({ parts: [], end: { status: 502, code: 'bad_upstream_answer' } });
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
