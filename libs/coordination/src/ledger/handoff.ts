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
  #transfer: Observable<never> | undefined;

  constructor(
    private readonly finishesTransfer: boolean,
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

  /** Says what is owed from now on; another attempt may say it anew. */
  is(descriptor: HandoffDescriptor): void {
    if (this.#descriptor === undefined) this.events.onOwed();
    this.#descriptor = descriptor;
    this.#isVoid = false;
  }

  /** The prefill that was to leave it has failed: nothing has to be freed. */
  void(): void {
    this.#isVoid = true;
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
   * Unsubscribed before that, the decode is closed, or becomes the {@link transfer} that somebody has to finish.
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
          over();
          subscriber.error(error);
        },
        complete: () => {
          over();
          subscriber.complete();
        },
      });
      return () => {
        const isUnderWay = !isOver && !this.#isTaken && this.#descriptor !== undefined;
        if (isUnderWay && this.finishesTransfer) this.#transfer = untilEnded(ended, decode);
        else decode.unsubscribe();
      };
    });
  }
}

function untilEnded(ended: Observable<never>, decode: Subscription): Observable<never> {
  return new Observable((subscriber) => {
    subscriber.add(() => decode.unsubscribe());
    subscriber.add(ended.subscribe(subscriber));
  });
}
