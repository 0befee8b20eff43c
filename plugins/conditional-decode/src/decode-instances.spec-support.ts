import { InferenceError, inferenceRequest, type InferenceRequest, type JsonObject } from '@baton/inference';
import type { TestHost } from '@baton/testing';
import { switchMap, throwError, timer } from 'rxjs';
import { ConditionalDecodeOptions } from './conditional-decode.options.js';

export const optionsOf = (options: Partial<ConditionalDecodeOptions> = {}): ConditionalDecodeOptions =>
  Object.assign(new ConditionalDecodeOptions(), options);

export const chat = (body: JsonObject = {}): InferenceRequest =>
  inferenceRequest('chat', { messages: [{ role: 'user', content: 'Count to five.' }], ...body });

export const notAvailable = (): InferenceError => new InferenceError('Not cached.', { status: 412 });

/** Has conditional legs fail after a while, without an answer. */
export function refuseConditional({ engines }: TestHost, errorOf: (at: string) => Error = notAvailable): void {
  const run = engines.run.bind(engines);
  engines.run = (side, at, leg) =>
    leg.headers['prefer'] === undefined
      ? run(side, at, leg)
      : engines.log.record(
          { side, at, kind: 'decode' },
          leg,
          timer(5).pipe(switchMap(() => throwError(() => errorOf(at)))),
        );
}
