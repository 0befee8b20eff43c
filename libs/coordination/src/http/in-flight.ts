import { InferenceError, type Caller, type InferenceRequest } from '@baton/inference';
import { Injectable } from '@nestjs/common';
import {
  BehaviorSubject,
  catchError,
  filter,
  firstValueFrom,
  fromEvent,
  map,
  merge,
  NEVER,
  Observable,
  of,
  Subject,
  take,
  takeUntil,
  timeout,
  type MonoTypeOperatorFunction,
} from 'rxjs';
import { CoordinationObserver, type StreamEndReason } from '../observer.js';
import { AbortIndex } from './abort-index.js';

/** The requests that this instance is answering, and the ways to end them: by their id, or all when it shuts down. */
@Injectable()
export class InFlight {
  readonly #count = new BehaviorSubject(0);
  readonly #drained = new Subject<InferenceError>();
  readonly #under = new Set<object>();
  readonly #aborts = new AbortIndex();
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
  begin(request: InferenceRequest): (reason: StreamEndReason) => void {
    if (this.#isRefusing) {
      this.observer.rejected('drain');
      throw shuttingDown();
    }
    this.#count.next(this.count + 1);
    const forget = this.#aborts.add(request);
    const mark = {};
    this.#under.add(mark);
    this.observer.started(request.api);
    let isOver = false;
    return (reason) => {
      if (isOver) return;
      isOver = true;
      forget();
      this.#under.delete(mark);
      this.observer.ended(reason);
      this.#count.next(this.count - 1);
    };
  }

  /**
   * Ends the answer of `request`, which has begun, with an error when it is aborted, and any answer when the drain has
   * run out of time. Passes values on without a hop of its own.
   */
  untilAborted<T>(request?: InferenceRequest): MonoTypeOperatorFunction<T> {
    return (source) =>
      new Observable((subscriber) => {
        const ended = request === undefined ? this.#drained : merge(this.#drained, this.#aborts.aborted(request));
        subscriber.add(ended.subscribe((error) => subscriber.error(error)));
        source.subscribe(subscriber);
      });
  }

  /** Has `request`, which has begun, aborted by `id` as well: the one that its answer carries. */
  alsoKnownAs(request: InferenceRequest, id: string): void {
    this.#aborts.alsoKnownAs(request, id);
  }

  /**
   * Ends with an error the answers that `ids` mean: each is an id that a client sent, that its answer carried, or the
   * key of a request. Unknown ids are no error; two requests of one id are both ended.
   *
   * @param caller who asks for it: a client ends requests of its own label only, a trusted caller any.
   * @returns how many answers it ended. One that was whole and only waited to be sent is none of them.
   */
  abort(ids: readonly string[], caller: Caller): number {
    const found = new Set(ids.flatMap((id) => [...this.#aborts.find(id, caller)]).filter(({ observed }) => observed));
    for (const aborted of found) aborted.next(requestAborted());
    return found.size;
  }

  /** From now on new requests get a 503. */
  refuseNew(): void {
    this.#isRefusing = true;
  }

  /** Waits until nothing is in flight; what still is after `timeoutMs` ends with an error event. */
  async drain(timeoutMs: number): Promise<void> {
    this.refuseNew();
    if (await this.#isIdleWithin(timeoutMs)) return;
    this.#drained.next(drainTimeout());
    await this.#isIdleWithin(ABORT_GRACE_MS);
  }

  /**
   * Waits until every request that has begun by now is over; those that begin meanwhile do not count. Nothing that was taken
   * out of use before is used by a request any more then.
   *
   * @param signal ends the wait.
   * @returns whether they were over within `timeoutMs`.
   */
  async settled(timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    // A request whose manager was asked in this turn begins in a later microtask.
    await new Promise((resolve) => setImmediate(resolve));
    const before = [...this.#under];
    return this.#isWithin(timeoutMs, () => !before.some((mark) => this.#under.has(mark)), signal);
  }

  #isIdleWithin(timeoutMs: number): Promise<boolean> {
    return this.#isWithin(timeoutMs, () => this.count === 0);
  }

  /** Looks whenever a request begins or ends. */
  #isWithin(timeoutMs: number, holds: () => boolean, signal?: AbortSignal): Promise<boolean> {
    if (signal?.aborted === true) return Promise.resolve(false);
    return firstValueFrom(
      this.#count.pipe(
        filter(holds),
        take(1),
        timeout(timeoutMs),
        takeUntil(signal === undefined ? NEVER : fromEvent(signal, 'abort')),
        map(() => true),
        catchError(() => of(false)),
      ),
      { defaultValue: false },
    );
  }
}

/** For the error events to reach their clients. */
const ABORT_GRACE_MS = 1_000;

/** Said only of what was not begun: whoever sent it may send it to another instance. */
function shuttingDown(): InferenceError {
  return new InferenceError('This instance is shutting down.', {
    status: 503,
    code: 'shutting_down',
    retryAfterSeconds: 1,
  });
}

function drainTimeout(): InferenceError {
  return new InferenceError('This instance is shutting down and could not wait for the end of the answer.', {
    status: 503,
    code: 'drain_timeout',
    retryAfterSeconds: 1,
  });
}

/** 499 is what the field answers when nobody wants the answer any more: no fault of the server, and not to be retried. */
function requestAborted(): InferenceError {
  return new InferenceError('The request was aborted.', {
    status: 499,
    type: 'server_error',
    code: 'request_aborted',
  });
}
