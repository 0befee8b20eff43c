import { Inject, Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import {
  BehaviorSubject,
  catchError,
  concat,
  defer,
  EMPTY,
  filter,
  finalize,
  firstValueFrom,
  Observable,
  of,
  take,
  timeout,
} from 'rxjs';
import type { HandoffDescriptor, KvConnector, ReleaseMeans, ReleaseOutcome } from '../connectors/kv-connector.js';
import { COORDINATION_OPTIONS } from '../coordination.constants.js';
import {
  DEFAULT_RELEASE_TIMEOUT_MS,
  DEFAULT_TRANSFER_TIMEOUT_MS,
  type CoordinationOptions,
} from '../coordination.options.js';
import { CoordinationObserver } from '../observer.js';
import { Handoff } from './handoff.js';

/** Long enough for D to know of the request and fetch the KV of a long prompt, when nothing tells that it has. */
const UNSEEN_TRANSFER_MS = 2_000;
const FREED: ReleaseOutcome = 'freed';

/**
 * Who owes which KV. The one thing that outlives a request: when a client leaves between prefill and decode, the
 * teardown hands the KV to this ledger, which frees it under its own bounds and books the outcome.
 */
@Injectable()
export class HandoffLedger implements BeforeApplicationShutdown {
  readonly #open = new BehaviorSubject(0);
  readonly #releaseTimeoutMs: number;
  readonly #transferTimeoutMs: number;

  constructor(
    private readonly observer: CoordinationObserver,
    @Inject(COORDINATION_OPTIONS) options: CoordinationOptions,
  ) {
    this.#releaseTimeoutMs = options.releaseTimeoutMs ?? DEFAULT_RELEASE_TIMEOUT_MS;
    this.#transferTimeoutMs = options.transferTimeoutMs ?? DEFAULT_TRANSFER_TIMEOUT_MS;
  }

  /** Handoffs that are owed or being released now. */
  get open(): number {
    return this.#open.value;
  }

  /**
   * A resource: the handoff of `descriptor` (or one that is said later, {@link Handoff.is}), owed from then until a
   * decode took it. Unsubscribed before that, its KV is freed as the connector's contract says.
   */
  owe(connector: KvConnector, means: ReleaseMeans, descriptor?: HandoffDescriptor): Observable<Handoff> {
    return new Observable((subscriber) => {
      const handoff = new Handoff(connector.contract.leaving.transferring === 'finish', {
        onOwed: () => this.#open.next(this.open + 1),
        onTaken: () => this.#settle('taken'),
      });
      if (descriptor !== undefined) handoff.is(descriptor);
      subscriber.add(() => {
        if (handoff.descriptor !== undefined && !handoff.isTaken) {
          this.#free(connector, handoff, handoff.descriptor, means);
        }
      });
      subscriber.next(handoff);
    });
  }

  /** Nest waits for this on shutdown: every handoff has its outcome before the process ends. */
  async beforeApplicationShutdown(): Promise<void> {
    const idle = this.#open.pipe(
      filter((open) => open === 0),
      take(1),
      timeout(this.#transferTimeoutMs + this.#releaseTimeoutMs * 2),
    );
    await firstValueFrom(idle).catch(() => undefined);
  }

  #free(connector: KvConnector, handoff: Handoff, descriptor: HandoffDescriptor, means: ReleaseMeans): void {
    // The client that closed the valve has gone; what is left to read must not wait for it.
    means.request.valve.open();
    const release = defer(() => (handoff.isVoid ? of(FREED) : connector.release(descriptor, means))).pipe(
      take(1),
      timeout(this.#releaseTimeoutMs),
    );
    let outcome: ReleaseOutcome = 'unknown';
    concat(
      this.#finished(handoff, means),
      // A decode that was let finish its transfer has taken the KV, and booked it.
      defer(() => (handoff.isTaken ? EMPTY : release)),
    )
      .pipe(
        // Also a transfer that took too long: D has had the handoff, which is for one transfer.
        catchError(() => EMPTY),
        finalize(() => {
          if (!handoff.isTaken) this.#settle(outcome);
        }),
      )
      .subscribe((result) => (outcome = result));
  }

  /** Waits for the end of a transfer under way. Fails, and closes it, when it takes too long. */
  #finished({ transfer }: Handoff, { request }: ReleaseMeans): Observable<never> {
    if (transfer === undefined) return EMPTY;
    // The first part of an answer that is not streamed is its last: D would decode all of it for nobody.
    const boundMs = request.stream ? this.#transferTimeoutMs : Math.min(this.#transferTimeoutMs, UNSEEN_TRANSFER_MS);
    return transfer.pipe(timeout(boundMs));
  }

  #settle(outcome: ReleaseOutcome | 'taken'): void {
    this.#open.next(this.open - 1);
    this.observer.settled(outcome);
  }
}
