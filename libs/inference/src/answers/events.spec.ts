import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { completeEventsLength, sseEvent } from '../sse.js';
import { asBuffer, eventData, eventsIn, parseData } from './events.js';

const texts = (stream: string): string[] => eventsIn(Buffer.from(stream)).map(String);
const dataIn = (bytes: Buffer): string[] =>
  eventsIn(bytes).flatMap((event) => {
    const data = eventData(event);
    return data === undefined ? [] : [data];
  });

describe('eventsIn', () => {
  it.each([
    ['', []],
    ['data: a\n\ndata: b\n\n', ['data: a\n\n', 'data: b\n\n']],
    ['data: a\r\n\r\n: ping\r\n\r\n', ['data: a\r\n\r\n', ': ping\r\n\r\n']],
    ['data: a\r\rdata: b\r\r', ['data: a\r\r', 'data: b\r\r']],
    ['event: x\ndata: a\ndata: b\n\n', ['event: x\ndata: a\ndata: b\n\n']],
    ['data: a\n\r\ndata: b\r\n\n', ['data: a\n\r\n', 'data: b\r\n\n']],
    ['\ndata: a\n\n\n', ['\n', 'data: a\n\n', '\n']],
    ['data: a\n\ndata: b\n', ['data: a\n\n', 'data: b\n']],
  ])('of %j are %j', (stream, events) => {
    expect(texts(stream)).toEqual(events);
  });

  it('are all of the bytes, without a copy', () => {
    const bytes = Buffer.from('data: 漢\n\n:\n\ndata: 🦊\n\n');
    const events = eventsIn(bytes);
    expect(Buffer.concat(events)).toEqual(bytes);
    for (const event of events) expect(event.buffer).toBe(bytes.buffer);
  });
});

describe('eventData', () => {
  it.each([
    ['data: {"a":1}\n\n', '{"a":1}'],
    ['data:{"a":1}\r\n\r\n', '{"a":1}'],
    ['data:  a \r\r', ' a '],
    ['id: 7\nevent: x\ndata: {\ndata: "a":1}\n: comment\n\n', '{\n"a":1}'],
    ['data\n\n', ''],
    ['data: a\u2028b\n\n', 'a\u2028b'],
    [': data: a\n\n', undefined],
    ['event: data\n\n', undefined],
    ['database: a\n\n', undefined],
    ['\n', undefined],
  ])('of %j is %j', (event, data) => {
    expect(eventData(Buffer.from(event))).toBe(data);
  });

  it('is the same however the stream is cut', () => {
    const line = fc.tuple(
      fc.constantFrom('data: ', 'data:', 'data', ': ', 'event: ', 'id:', ''),
      fc.string({ unit: fc.constantFrom('a', ':', ' ', '{', 'é', '🦊', '[DONE]') }),
    );
    const stream = fc
      .record({
        eol: fc.constantFrom('\n', '\r\n', '\r'),
        events: fc.array(fc.array(line, { minLength: 1, maxLength: 3 }), { maxLength: 8 }),
      })
      .map(({ eol, events }) =>
        events.map((lines) => lines.map((line) => line.join('') + eol).join('') + eol).join(''),
      );
    fc.assert(
      fc.property(stream, fc.array(fc.nat(), { maxLength: 40 }), (text, cuts) => {
        const bytes = Buffer.from(text);
        const places = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
        const data: string[] = [];
        let unfinished = Buffer.alloc(0);
        let from = 0;
        for (const place of places) {
          unfinished = Buffer.concat([unfinished, bytes.subarray(from, place)]);
          const length = completeEventsLength(unfinished);
          data.push(...dataIn(unfinished.subarray(0, length)));
          unfinished = unfinished.subarray(length);
          from = place;
        }
        expect(data).toEqual(dataIn(bytes));
      }),
      { numRuns: 500 },
    );
  });
});

describe('an event of JSON', () => {
  it('is read as it was written, whatever it holds', () => {
    const data = { text: 'a\n\nb\r\r🦊', room: 9223372036854775807n };
    const [event, ...more] = eventsIn(sseEvent(data));
    expect(more).toEqual([]);
    expect(parseData(eventData(event!)!)).toEqual(data);
  });

  it.each(['', '[DONE]', '{', '[]', 'null', '"a"'])('is not made of %j', (data) => {
    expect(parseData(data)).toBeUndefined();
  });
});

describe('asBuffer', () => {
  it('shares the memory', () => {
    const bytes = Uint8Array.of(1, 2, 3).subarray(1);
    const buffer = asBuffer(bytes);
    expect([...buffer]).toEqual([2, 3]);
    expect(buffer.buffer).toBe(bytes.buffer);
    expect(asBuffer(buffer)).toBe(buffer);
  });
});
