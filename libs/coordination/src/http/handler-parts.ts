import { bytesPart, isJsonObject, jsonPart, type FlowValve, type ResponsePart } from '@baton/inference';
import { StreamableFile } from '@nestjs/common';
import { concatMap, defer, EMPTY, filter, firstValueFrom, Observable, of, type OperatorFunction } from 'rxjs';
import { InferenceAnswer } from './inference-answer.js';

/**
 * What a controller's handler returned, as the parts of an answer, so that any controller's handler is a local
 * execution: an {@link InferenceAnswer}, an object (JSON), text or bytes, or anything that can be iterated
 * asynchronously (a stream, a generator, a `StreamableFile`).
 */
export function handlerParts(valve: FlowValve): OperatorFunction<unknown, ResponsePart> {
  return concatMap((value) => {
    if (value instanceof InferenceAnswer) return value.parts;
    if (value instanceof StreamableFile) return iterableParts(value.getStream(), valve);
    if (isAsyncIterable(value)) return iterableParts(value, valve);
    return value === undefined ? EMPTY : of(partOf(value));
  });
}

function partOf(value: unknown): ResponsePart {
  if (typeof value === 'string') return bytesPart(Buffer.from(value));
  if (value instanceof Uint8Array) return bytesPart(value);
  if (isJsonObject(value)) return jsonPart(value);
  const what = value === null ? 'null' : Array.isArray(value) ? 'an array' : `a ${typeof value}`;
  throw new Error(
    `A handler under @Disaggregated() gave ${what}, which is no part of an answer to an inference request.`,
  );
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

/** Pulls while the valve is open. Unsubscribing returns the iterator at once, without waiting for its next value. */
function iterableParts(iterable: AsyncIterable<unknown>, valve: FlowValve): Observable<ResponsePart> {
  return new Observable((subscriber) => {
    const iterator = iterable[Symbol.asyncIterator]();
    const pump = async (): Promise<void> => {
      while (!subscriber.closed) {
        if (!valve.isOpen) {
          await firstValueFrom(valve.state$.pipe(filter((isOpen) => isOpen)));
          continue;
        }
        const result: IteratorResult<unknown, unknown> = await iterator.next();
        if (result.done === true) return subscriber.complete();
        subscriber.next(partOf(result.value));
      }
    };
    pump().catch((error: unknown) => subscriber.error(error));
    return () => {
      if (isDestroyable(iterable)) iterable.destroy();
      // Nobody is left to tell of an error on the way out.
      else defer(async () => iterator.return?.()).subscribe({ error: () => undefined });
    };
  });
}

/** Node's streams: destroying one ends it at once, while returning its iterator waits for the pending read. */
function isDestroyable(value: object): value is { destroy(): unknown } {
  return 'destroy' in value && typeof value.destroy === 'function';
}
