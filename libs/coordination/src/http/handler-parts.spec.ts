import { bytesPart, FlowValve, inferenceRequest, jsonPart, type ResponsePart } from '@baton/inference';
import { describe, expect, it, jest } from '@jest/globals';
import { StreamableFile } from '@nestjs/common';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { lastValueFrom, of, take, toArray } from 'rxjs';
import { handlerParts } from './handler-parts.js';
import { InferenceAnswer } from './inference-answer.js';

const partsOf = (value: unknown, valve = new FlowValve()): Promise<ResponsePart[]> =>
  lastValueFrom(of(value).pipe(handlerParts(valve), toArray()));
const bytes = (text: string): ResponsePart => bytesPart(Buffer.from(text));

async function* generator(log: string[] = []): AsyncGenerator<string> {
  try {
    for (const text of ['a', 'b', 'c']) {
      log.push(text);
      yield text;
    }
  } finally {
    log.push('returned');
  }
}

describe('handlerParts', () => {
  it.each<[string, unknown, ResponsePart[]]>([
    ['an object', { id: 'x' }, [jsonPart({ id: 'x' })]],
    ['text', 'x', [bytes('x')]],
    ['bytes', Buffer.from('x'), [bytes('x')]],
    ['nothing', undefined, []],
    [
      'an answer',
      new InferenceAnswer(of(jsonPart({ id: 'y' })), inferenceRequest('chat', {})),
      [jsonPart({ id: 'y' })],
    ],
    ['an async generator', generator(), [bytes('a'), bytes('b'), bytes('c')]],
    ['a stream', Readable.from([Buffer.from('a'), Buffer.from('b')]), [bytes('a'), bytes('b')]],
    ['a file', new StreamableFile(Readable.from([Buffer.from('a')])), [bytes('a')]],
  ])('reads %s', async (_what, value, parts) => {
    expect(await partsOf(value)).toEqual(parts);
  });

  it.each<[string, unknown]>([
    ['an array', [1]],
    ['null', null],
    ['a number', 7],
  ])('refuses %s, saying so', async (what, value) => {
    await expect(partsOf(value)).rejects.toThrow(`gave ${what}, which is no part of an answer`);
    const yields = async function* (): AsyncGenerator<unknown> {
      yield value;
    };
    await expect(partsOf(yields())).rejects.toThrow(`gave ${what}`);
  });

  it('passes the failure of what it reads on', async () => {
    const broken = new Readable({ read: () => undefined });
    const reading = partsOf(broken);
    broken.destroy(new Error('broken'));
    await expect(reading).rejects.toThrow('broken');
  });

  it('pulls nothing while the valve is closed', async () => {
    const valve = new FlowValve();
    const log: string[] = [];
    const first = await lastValueFrom(of(generator(log)).pipe(handlerParts(valve), take(1)));
    expect(first).toEqual(bytes('a'));

    const pulled: string[] = [];
    const got: ResponsePart[] = [];
    const done = new Promise<void>((complete) => {
      of(generator(pulled))
        .pipe(handlerParts(valve))
        .subscribe({
          next: (part) => {
            got.push(part);
            if (got.length === 2) valve.close();
          },
          complete,
        });
    });
    while (got.length < 2) await new Promise(setImmediate);
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
    expect(pulled).toEqual(['a', 'b']);
    valve.open();
    await done;
    expect(got).toHaveLength(3);
  });

  it('returns a generator when nobody wants more', async () => {
    const log: string[] = [];
    await lastValueFrom(of(generator(log)).pipe(handlerParts(new FlowValve()), take(1)));
    while (!log.includes('returned')) await new Promise(setImmediate);
    expect(log).toEqual(['a', 'returned']);
  });

  it('returns a hand-written iterator at once, while its next value is still pending, and swallows its failure', () => {
    const back = jest.fn(() => Promise.reject(new Error('late')));
    const iterable: AsyncIterable<string> = {
      [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => undefined), return: back }),
    };
    of(iterable).pipe(handlerParts(new FlowValve())).subscribe().unsubscribe();
    expect(back).toHaveBeenCalledTimes(1);
  });

  it('survives an iterator whose return throws', () => {
    const iterable: AsyncIterable<string> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => undefined),
        return: () => {
          throw new Error('broken');
        },
      }),
    };
    const subscription = of(iterable).pipe(handlerParts(new FlowValve())).subscribe();
    expect(() => subscription.unsubscribe()).not.toThrow();
  });

  it('destroys a stream at once, while it waits for data or for the valve', async () => {
    for (const isOpen of [true, false]) {
      const valve = new FlowValve();
      if (!isOpen) valve.close();
      const stream = new Readable({ read: () => undefined });
      const error = jest.fn();
      of(stream).pipe(handlerParts(valve)).subscribe({ error }).unsubscribe();
      expect(stream.destroyed).toBe(true);
      await once(stream, 'close');
      expect(error).not.toHaveBeenCalled();
    }
  });
});
