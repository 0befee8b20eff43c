import { Inject, Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import {
  BehaviorSubject,
  catchError,
  defer,
  filter,
  finalize,
  firstValueFrom,
  NEVER,
  Observable,
  of,
  startWith,
  take,
  timeout,
} from 'rxjs';
import type { HandoffDescriptor, KvConnector, ReleaseOutcome } from '../connectors/kv-connector.js';
import { COORDINATION_OPTIONS } from '../coordination.constants.js';
import { DEFAULT_RELEASE_TIMEOUT_MS, type CoordinationOptions } from '../coordination.options.js';
import { CoordinationObserver } from '../observer.js';
import { Handoff } from './handoff.js';

/**
 * Who owes which KV. The one thing that outlives a request: when a client leaves between prefill and decode, the
 * teardown hands the KV to this ledger, which frees it under its own bound and books the outcome.
 */
@Injectable()
export class HandoffLedger implements BeforeApplicationShutdown {
  readonly #open = new BehaviorSubject(0);

  constructor(
    private readonly observer: CoordinationObserver,
    @Inject(COORDINATION_OPTIONS) private readonly options: CoordinationOptions,
  ) {}

  /** Handoffs that are owed or being released now. */
  get open(): number {
    return this.#open.value;
  }

  /**
   * A resource: the handoff of `descriptor`, owed from subscription until a decode took it. Unsubscribed before
   * that, its KV is released. Emits undefined (and owes nothing) when P handed nothing over.
   */
  owe(connector: KvConnector, descriptor: HandoffDescriptor | undefined): Observable<Handoff | undefined> {
    if (descriptor === undefined) return NEVER.pipe(startWith(undefined));
    return new Observable((subscriber) => {
      const handoff = new Handoff(descriptor, () => this.settle('taken'));
      this.#open.next(this.open + 1);
      subscriber.add(() => {
        if (!handoff.isTaken) this.release(connector, descriptor);
      });
      subscriber.next(handoff);
    });
  }

  /** Nest waits for this on shutdown: every release has its outcome before the process ends. */
  async beforeApplicationShutdown(): Promise<void> {
    await firstValueFrom(
      this.#open.pipe(
        filter((open) => open === 0),
        take(1),
        timeout(this.releaseTimeoutMs * 2),
      ),
    ).catch(() => undefined);
  }

  private release(connector: KvConnector, descriptor: HandoffDescriptor): void {
    let outcome: ReleaseOutcome = 'unknown';
    defer(() => connector.release(descriptor))
      .pipe(
        take(1),
        timeout(this.releaseTimeoutMs),
        catchError(() => of<ReleaseOutcome>('unknown')),
        finalize(() => this.settle(outcome)),
      )
      .subscribe((result) => (outcome = result));
  }

  private settle(outcome: ReleaseOutcome | 'taken'): void {
    this.#open.next(this.open - 1);
    this.observer.settled(outcome);
  }

  private get releaseTimeoutMs(): number {
    return this.options.releaseTimeoutMs ?? DEFAULT_RELEASE_TIMEOUT_MS;
  }
}
