import type { ResponsePart } from '@baton/inference';
import type { Observable, Subscription } from 'rxjs';
import { readParts, type ReadAnswer } from '../doubles/token-answers.js';

/** A client that has subscribed to an answer. */
export class Watched {
  readonly parts: ResponsePart[] = [];
  state: 'open' | 'complete' | 'failed' = 'open';
  error: unknown;
  readonly #subscription: Subscription;

  constructor(answer: Observable<ResponsePart>) {
    this.#subscription = answer.subscribe({
      next: (part) => this.parts.push(part),
      error: (error: unknown) => {
        this.state = 'failed';
        this.error = error;
      },
      complete: () => (this.state = 'complete'),
    });
  }

  get isOver(): boolean {
    return this.state !== 'open';
  }

  /** What the client can read. */
  get answer(): ReadAnswer {
    return readParts(this.parts);
  }

  leave(): void {
    this.#subscription.unsubscribe();
  }
}
