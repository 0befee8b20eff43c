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
  fromEvent,
  NEVER,
  Observable,
  of,
  share,
  take,
  takeUntil,
  tap,
  timeout,
  timer,
} from 'rxjs';
import type { HandoffDescriptor, KvConnector, ReleaseMeans, ReleaseOutcome } from '../connectors/kv-connector.js';
import { COORDINATION_OPTIONS } from '../coordination.constants.js';
import {
  DEFAULT_ABANDONED_PREFILL_MS,
  DEFAULT_RELEASE_TIMEOUT_MS,
  DEFAULT_TRANSFER_TIMEOUT_MS,
  type CoordinationOptions,
} from '../coordination.options.js';
import { CoordinationObserver, type Settlement } from '../observer.js';
import { Handoff } from './handoff.js';

/** Long enough for D to know of the request and fetch the KV of a long prompt, when nothing tells that it has. */
export const UNSEEN_TRANSFER_MS = 2_000;

/** What a prefill is asked whose client has left before it has answered. */
export interface AbandonedPrefill<T> {
  /** Whether an answer may be under way. Called once, when the client leaves. */
  mayAnswer(): boolean;
  /** What its answer, which came late, leaves behind; undefined when nothing. */
  leaves(answer: T): { readonly means: ReleaseMeans; readonly descriptor: HandoffDescriptor } | undefined;
}

/**
 * Who owes which KV. The one thing that outlives a request: when a client leaves between prefill and decode, the
 * teardown hands the KV to this ledger, which carries out the connector's cancellation plan under its own bounds and books
 * the outcome.
 */
@Injectable()
export class HandoffLedger implements BeforeApplicationShutdown {
  /** What has to be settled before the process may end: handoffs that are owed, and prefills that were left. */
  readonly #open = new BehaviorSubject(0);
  readonly #owed = new Set<Handoff>();
  /** What is open, with the epoch that it began in: {@link settled} starts another one. */
  readonly #epochs = new Map<object, number>();
  #epoch = 0;
  readonly #releaseTimeoutMs: number;
  readonly #transferTimeoutMs: number;
  readonly #abandonedPrefillMs: number;
  readonly #leaseMs: number | undefined;

  constructor(
    private readonly observer: CoordinationObserver,
    @Inject(COORDINATION_OPTIONS) options: CoordinationOptions,
  ) {
    this.#releaseTimeoutMs = options.releaseTimeoutMs ?? DEFAULT_RELEASE_TIMEOUT_MS;
    this.#transferTimeoutMs = options.transferTimeoutMs ?? DEFAULT_TRANSFER_TIMEOUT_MS;
    this.#abandonedPrefillMs = options.abandonedPrefillMs ?? DEFAULT_ABANDONED_PREFILL_MS;
    this.#leaseMs = options.leaseMs;
  }

  /** Handoffs that are owed or being released now, and prefills that may still answer for a client that has gone. */
  get open(): number {
    return this.#open.value;
  }

  /** How long the oldest handoff has been owed, in ms; 0 when none is. */
  get oldestAgeMs(): number {
    // Insertion order is age: one that is said anew keeps its place, which errs by one attempt.
    for (const { ageMs } of this.#owed) return ageMs;
    return 0;
  }

  /**
   * A resource: the handoff of `descriptor` (or one that is said later, {@link Handoff.is}), owed from then until a
   * decode took it. Unsubscribed before that, its KV is freed as the connector's plan says.
   */
  owe(connector: KvConnector, means: ReleaseMeans, descriptor?: HandoffDescriptor): Observable<Handoff> {
    return this.#owe(connector, means, descriptor, undefined);
  }

  /** @param epoch of what left the handoff behind; by default that in which it is said. */
  #owe(
    connector: KvConnector,
    means: ReleaseMeans,
    descriptor: HandoffDescriptor | undefined,
    epoch: number | undefined,
  ): Observable<Handoff> {
    const { cancellation, leaseMs } = connector.contract;
    return new Observable((subscriber) => {
      const handoff: Handoff = new Handoff(
        cancellation.transferring.action === 'finish',
        this.#leaseMs ?? leaseMs ?? Infinity,
        {
          onOwed: () => {
            this.#owed.add(handoff);
            this.#opened(handoff, epoch);
          },
          onTaken: () => this.#settle(handoff, 'taken', means),
        },
      );
      if (descriptor !== undefined) handoff.is(descriptor);
      subscriber.add(() => {
        if (handoff.descriptor !== undefined && !handoff.isTaken) {
          this.#free(connector, handoff, handoff.descriptor, means);
        }
      });
      subscriber.next(handoff);
    });
  }

  /**
   * Passes the answer of a serial prefill through. Left before it has come, the prefill gets a short while to answer all the
   * same: an answer that is under way when its leg is closed is lost, and with it the only name of the KV that P keeps. What
   * comes late is owed and freed; what does not come is closed.
   */
  awaiting<T>(prefill: Observable<T>, connector: KvConnector, abandoned: AbandonedPrefill<T>): Observable<T> {
    if (connector.contract.cancellation.prefilling.action !== 'await_answer') return prefill;
    return defer(() => {
      let leftAtMs: number | undefined;
      let isOver = false;
      const mark = {};
      return prefill.pipe(
        tap({ complete: () => (isOver = true), error: () => (isOver = true) }),
        tap((answer) => {
          const left = leftAtMs !== undefined ? abandoned.leaves(answer) : undefined;
          if (left !== undefined) {
            this.#owe(connector, left.means, left.descriptor, this.#epochs.get(mark)).subscribe().unsubscribe();
          }
        }),
        finalize(() => {
          if (leftAtMs === undefined) return;
          this.#closed(mark);
          this.observer.cleanedUp(performance.now() - leftAtMs);
        }),
        share({
          resetOnRefCountZero: () => {
            // RxJS asks this of what has ended by itself as well.
            if (isOver) return of(0);
            leftAtMs = performance.now();
            this.#opened(mark);
            return abandoned.mayAnswer() ? timer(this.#abandonedPrefillMs) : of(0);
          },
        }),
      );
    });
  }

  /**
   * Waits until nothing is owed any more that began before, and what it leads to; what begins meanwhile does not count.
   *
   * @param signal ends the wait.
   * @returns whether that was so within `timeoutMs`.
   */
  async settled(timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    const last = this.#epoch;
    this.#epoch += 1;
    const settled = this.#open.pipe(
      filter(() => ![...this.#epochs.values()].some((epoch) => epoch <= last)),
      take(1),
      timeout(timeoutMs),
      takeUntil(signal === undefined ? NEVER : fromEvent(signal, 'abort')),
    );
    return signal?.aborted === true
      ? false
      : firstValueFrom(settled).then(
          () => true,
          () => false,
        );
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
    handoff.leave();
    // The client that closed the valve has gone; what is left to read must not wait for it.
    means.request.valve.open();
    let outcome: ReleaseOutcome = 'unknown';
    concat(
      this.#finished(handoff, means),
      // A decode that was let finish its transfer has taken the KV, and booked it.
      defer(() => (handoff.isTaken ? EMPTY : this.#released(connector, handoff, descriptor, means))),
    )
      .pipe(
        // Also a transfer that took too long: D has had the handoff, which is for one transfer.
        catchError(() => EMPTY),
        finalize(() => {
          if (!handoff.isTaken) this.#settle(handoff, outcome === 'held' ? 'lease_expired' : outcome, means);
          this.observer.cleanedUp(handoff.strandedMs);
        }),
      )
      .subscribe((result) => (outcome = result));
  }

  #released(
    connector: KvConnector,
    handoff: Handoff,
    descriptor: HandoffDescriptor,
    means: ReleaseMeans,
  ): Observable<ReleaseOutcome> {
    if (handoff.isVoid) return of('freed');
    const { action } = connector.contract.cancellation.gap;
    // It is for one transfer: another D could read blocks that are freed by then.
    if (action === 'decode_and_cancel' && handoff.isInDoubt) return EMPTY;
    // A D that comes so late would read, and keep in its cache, blocks that may be another's by then.
    if (action === 'decode_and_cancel' && handoff.isStale) return of('held');
    return connector.release(descriptor, means).pipe(take(1), timeout(this.#releaseTimeoutMs));
  }

  /** Waits for the end of a transfer under way. Fails, and closes it, when it takes too long. */
  #finished({ transfer }: Handoff, { request }: ReleaseMeans): Observable<never> {
    if (transfer === undefined) return EMPTY;
    // The first part of an answer that is not streamed is its last: D would decode all of it for nobody.
    const boundMs = request.stream ? this.#transferTimeoutMs : Math.min(this.#transferTimeoutMs, UNSEEN_TRANSFER_MS);
    return transfer.pipe(timeout(boundMs));
  }

  #settle(handoff: Handoff, settlement: Settlement, { request }: ReleaseMeans): void {
    this.#owed.delete(handoff);
    this.#closed(handoff);
    const leaseMs = settlement === 'lease_expired' ? handoff.remainingLeaseMs : 0;
    const strandedMs = handoff.strandedMs + (Number.isFinite(leaseMs) ? leaseMs : 0);
    this.observer.settled(settlement, strandedMs);
    request.trace?.settled?.(settlement, strandedMs);
  }

  #opened(what: object, epoch = this.#epoch): void {
    this.#epochs.set(what, epoch);
    this.#open.next(this.open + 1);
  }

  #closed(what: object): void {
    this.#epochs.delete(what);
    this.#open.next(this.open - 1);
  }
}
