import { InferenceError, NoPermitError, Permits, type InferenceRequest } from '@baton/inference';
import { Inject, Injectable } from '@nestjs/common';
import { catchError, defer, throwError, type Observable } from 'rxjs';
import { COORDINATION_OPTIONS } from '../coordination.constants.js';
import {
  DEFAULT_ADMISSION_TIMEOUT_MS,
  DEFAULT_MAX_IN_FLIGHT,
  DEFAULT_MAX_WAITING,
  type CoordinationOptions,
} from '../coordination.options.js';
import { CoordinationObserver, type RejectionReason } from '../observer.js';
import { LoadShedding } from './load-shedding.js';

/** The request was not admitted: nothing was done for it. */
export class OverloadedError extends InferenceError {
  constructor() {
    super('This instance has too many requests. Try again later.', {
      status: 503,
      code: 'overloaded',
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    });
  }
}

/** Balancers take it as a reason to try another instance. */
const RETRY_AFTER_SECONDS = 1;

/** How much is admitted of one class. */
export interface Load {
  readonly inFlight: number;
  readonly waiting: number;
  /** Whether the next one is refused. */
  readonly isFull: boolean;
}

/**
 * Bounds how many requests this instance answers at once and how many wait for that, fairly between callers.
 *
 * Legs are counted apart from requests of clients. With one count for both, two instances that send each other legs would stop
 * each other: all permits of each held by clients' requests that wait for a leg on the other. A leg that is run waits for
 * nobody's permit, so legs always get on.
 */
@Injectable()
export class Admission {
  readonly #clients: Permits;
  readonly #legs: Permits;

  constructor(
    private readonly observer: CoordinationObserver,
    private readonly shedding: LoadShedding,
    @Inject(COORDINATION_OPTIONS) { admission = {} }: CoordinationOptions,
  ) {
    const bounds = {
      max: admission.maxInFlight ?? DEFAULT_MAX_IN_FLIGHT,
      maxWaiting: admission.maxWaiting ?? DEFAULT_MAX_WAITING,
      timeoutMs: admission.timeoutMs ?? DEFAULT_ADMISSION_TIMEOUT_MS,
    };
    this.#clients = new Permits(bounds);
    this.#legs = new Permits(bounds);
  }

  /** What is admitted now. */
  get load(): { readonly clients: Load; readonly legs: Load } {
    return { clients: loadOf(this.#clients), legs: loadOf(this.#legs) };
  }

  /**
   * A resource: emits when `request` may begin, and counts it until unsubscribed. Unsubscribed before, it leaves the queue.
   * Fails with an {@link OverloadedError}.
   */
  admit(request: InferenceRequest): Observable<void> {
    return defer(() => {
      if (!request.isLeg && this.shedding.isShedding) throw this.#refused('busy');
      return (request.isLeg ? this.#legs : this.#clients).acquire(request.caller.label);
    }).pipe(
      catchError((error: unknown) =>
        throwError(() => (error instanceof NoPermitError ? this.#refused(error.reason) : error)),
      ),
    );
  }

  #refused(reason: RejectionReason): OverloadedError {
    this.observer.rejected(reason);
    return new OverloadedError();
  }
}

function loadOf({ held, waiting, isFull }: Permits): Load {
  return { inFlight: held, waiting, isFull };
}
