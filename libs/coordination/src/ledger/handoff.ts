import { RemoteUnavailableError } from '@baton/remotes';
import { Observable, Subject, type Subscription } from 'rxjs';
import type { HandoffDescriptor } from '../connectors/kv-connector.js';

/** What a {@link Handoff} tells its ledger. */
export interface HandoffEvents {
  /** There is KV to account for. Called at most once. */
  onOwed(): void;
  /** A decode has it. Called at most once. */
  onTaken(): void;
}

/** A KV cache that is owed: left behind by a prefill (or being made by one), not yet taken by a decode. */
export class Handoff {
  #descriptor: HandoffDescriptor | undefined;
  #isTaken = false;
  #isVoid = false;
  #isSent = false;
  #owedSinceMs = 0;
  #leftAtMs: number | undefined;
  #hasFallenSilent = false;
  #transfer: Observable<never> | undefined;

  /** @param leaseMs how long P keeps what is not taken; Infinity when nobody knows. The descriptor may say it better. */
  constructor(
    private readonly finishesTransfer: boolean,
    private readonly leaseMs: number,
    private readonly events: HandoffEvents,
  ) {}

  /** Undefined until it is known what is owed. */
  get descriptor(): HandoffDescriptor | undefined {
    return this.#descriptor;
  }

  get isTaken(): boolean {
    return this.#isTaken;
  }

  /** Whether there is no KV after all. */
  get isVoid(): boolean {
    return this.#isVoid;
  }

  /** How long the KV has been owed, in ms. */
  get ageMs(): number {
    return performance.now() - this.#owedSinceMs;
  }

  /** How long P will keep it yet, in ms. */
  get remainingLeaseMs(): number {
    return Math.max(0, (this.#descriptor?.leaseMs ?? this.leaseMs) - this.ageMs);
  }

  /**
   * Whether half of the lease is over. A decode that began now might read blocks that are freed under it, and answer with
   * wrong text and a 200 (aws-do-eks #84: 8 of 42 answers).
   */
  get isStale(): boolean {
    return this.remainingLeaseMs < this.ageMs;
  }

  /** Whether a decode had the handoff, went on for a client that has gone, and then fell silent: nobody knows how far it was. */
  get isInDoubt(): boolean {
    return this.#transfer !== undefined && this.#hasFallenSilent;
  }

  /** The client has gone. */
  leave(): void {
    this.#leftAtMs ??= performance.now();
  }

  /** How long the KV has been held for a client that has gone, in ms. */
  get strandedMs(): number {
    return this.#leftAtMs === undefined ? 0 : performance.now() - this.#leftAtMs;
  }

  /** Says what is owed from now on; another attempt may say it anew. */
  is(descriptor: HandoffDescriptor): void {
    this.#owedSinceMs = performance.now();
    if (this.#descriptor === undefined) this.events.onOwed();
    this.#descriptor = descriptor;
    this.#isVoid = false;
  }

  /** The prefill that was to leave it has failed: nothing has to be freed. */
  void(): void {
    this.#isVoid = true;
  }

  /** A decode is being told of it: from now on it may take the KV. */
  sent(): void {
    this.#isSent = true;
  }

  /**
   * A decode that goes on for a client that has left, where the contract wants transfers finished: subscribing waits
   * for its end, unsubscribing closes it.
   */
  get transfer(): Observable<never> | undefined {
    return this.#transfer;
  }

  /**
   * Passes a decode's answer through. Its first part proves that the KV was taken, so nothing is owed any more.
   * Unsubscribed before that, the decode is closed; one that was {@link sent} may become the {@link transfer} that somebody has
   * to finish.
   */
  taking<T>(parts: Observable<T>): Observable<T> {
    return new Observable((subscriber) => {
      const ended = new Subject<never>();
      let isOver = false;
      const over = (): void => {
        isOver = true;
        ended.complete();
      };
      const decode: Subscription = parts.subscribe({
        next: (part) => {
          if (!this.#isTaken) {
            this.#isTaken = true;
            this.events.onTaken();
            ended.complete();
          }
          subscriber.next(part);
        },
        error: (error: unknown) => {
          this.#hasFallenSilent = isSilence(error);
          over();
          subscriber.error(error);
        },
        complete: () => {
          over();
          subscriber.complete();
        },
      });
      return () => {
        const isUnderWay = !isOver && !this.#isTaken && this.#isSent;
        if (isUnderWay && this.finishesTransfer) this.#transfer = untilEnded(ended, decode);
        else decode.unsubscribe();
      };
    });
  }
}

function isSilence(error: unknown): boolean {
  return error instanceof RemoteUnavailableError && (error.reason === 'timeout' || error.reason === 'reset');
}

function untilEnded(ended: Observable<never>, decode: Subscription): Observable<never> {
  return new Observable((subscriber) => {
    subscriber.add(() => decode.unsubscribe());
    subscriber.add(ended.subscribe(subscriber));
  });
}
