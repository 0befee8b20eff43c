import { Observable } from 'rxjs';
import type { HandoffDescriptor } from '../connectors/kv-connector.js';

/** A KV cache that is owed: left behind by a prefill, not yet taken by a decode. */
export class Handoff {
  #isTaken = false;

  constructor(
    readonly descriptor: HandoffDescriptor,
    private readonly onTaken: () => void,
  ) {}

  get isTaken(): boolean {
    return this.#isTaken;
  }

  /** Passes a decode's answer through. Its first part proves that the KV was taken, so nothing is owed any more. */
  takenOnFirst<T>(parts: Observable<T>): Observable<T> {
    return new Observable((subscriber) =>
      parts.subscribe({
        next: (part) => {
          if (!this.#isTaken) {
            this.#isTaken = true;
            this.onTaken();
          }
          subscriber.next(part);
        },
        error: (error: unknown) => subscriber.error(error),
        complete: () => subscriber.complete(),
      }),
    );
  }
}
