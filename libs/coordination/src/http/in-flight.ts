import { InferenceError, type InferenceApi } from '@baton/inference';
import { Injectable } from '@nestjs/common';
import {
  BehaviorSubject,
  catchError,
  filter,
  firstValueFrom,
  map,
  Observable,
  of,
  Subject,
  take,
  timeout,
  type MonoTypeOperatorFunction,
} from 'rxjs';
import { CoordinationObserver, type StreamEndReason } from '../observer.js';

/** The requests that this instance is answering, and the way to end them when it shuts down. */
@Injectable()
export class InFlight {
  readonly #count = new BehaviorSubject(0);
  readonly #aborted = new Subject<InferenceError>();
  #isRefusing = false;

  constructor(private readonly observer: CoordinationObserver) {}

  get count(): number {
    return this.#count.value;
  }

  /**
   * Counts a request in; the returned function counts it out, once.
   *
   * @throws InferenceError 503 when the instance is shutting down.
   */
  begin(api: InferenceApi): (reason: StreamEndReason) => void {
    if (this.#isRefusing) throw shuttingDown();
    this.#count.next(this.count + 1);
    this.observer.started(api);
    let isOver = false;
    return (reason) => {
      if (isOver) return;
      isOver = true;
      this.observer.ended(reason);
      this.#count.next(this.count - 1);
    };
  }

  /** Ends an answer with an error when the drain has run out of time. Passes values on without a hop of its own. */
  untilAborted<T>(): MonoTypeOperatorFunction<T> {
    return (source) =>
      new Observable((subscriber) => {
        subscriber.add(this.#aborted.subscribe((error) => subscriber.error(error)));
        source.subscribe(subscriber);
      });
  }

  /** From now on new requests get a 503. */
  refuseNew(): void {
    this.#isRefusing = true;
  }

  /** Waits until nothing is in flight; what still is after `timeoutMs` ends with an error event. */
  async drain(timeoutMs: number): Promise<void> {
    this.refuseNew();
    if (await this.#isIdleWithin(timeoutMs)) return;
    this.#aborted.next(shuttingDown());
    await this.#isIdleWithin(ABORT_GRACE_MS);
  }

  #isIdleWithin(timeoutMs: number): Promise<boolean> {
    return firstValueFrom(
      this.#count.pipe(
        filter((count) => count === 0),
        take(1),
        timeout(timeoutMs),
        map(() => true),
        catchError(() => of(false)),
      ),
    );
  }
}

/** For the error events to reach their clients. */
const ABORT_GRACE_MS = 1_000;

function shuttingDown(): InferenceError {
  return new InferenceError('This instance is shutting down.', {
    status: 503,
    code: 'shutting_down',
    retryAfterSeconds: 1,
  });
}
