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
   * A resource: the handoff of `descriptor`, owed from subscription until a decode took it. Unsubscribed before
   * that, its KV is freed as the connector's contract says.
   */
  owe(connector: KvConnector, descriptor: HandoffDescriptor, means: ReleaseMeans): Observable<Handoff> {
    return new Observable((subscriber) => {
      const { transferring } = connector.contract.leaving;
      const handoff = new Handoff(descriptor, transferring === 'finish', () => this.#settle('taken'));
      this.#open.next(this.open + 1);
      subscriber.add(() => {
        if (!handoff.isTaken) this.#free(connector, handoff, means);
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

  #free(connector: KvConnector, handoff: Handoff, means: ReleaseMeans): void {
    // The client that closed the valve has gone; what is left to read must not wait for it.
    means.request.valve.open();
    const transfer = (handoff.transfer ?? EMPTY).pipe(
      timeout(this.#transferTimeoutMs),
      catchError(() => EMPTY),
    );
    const release = defer(() =>
      handoff.isVoid ? of<ReleaseOutcome>('freed') : connector.release(handoff.descriptor, means),
    ).pipe(
      take(1),
      timeout(this.#releaseTimeoutMs),
      catchError(() => of<ReleaseOutcome>('unknown')),
    );
    let outcome: ReleaseOutcome = 'unknown';
    concat(
      transfer,
      // A decode that was let finish its transfer has taken the KV, and booked it.
      defer(() => (handoff.isTaken ? EMPTY : release)),
    )
      .pipe(
        finalize(() => {
          if (!handoff.isTaken) this.#settle(outcome);
        }),
      )
      .subscribe((result) => (outcome = result));
  }

  #settle(outcome: ReleaseOutcome | 'taken'): void {
    this.#open.next(this.open - 1);
    this.observer.settled(outcome);
  }
}
