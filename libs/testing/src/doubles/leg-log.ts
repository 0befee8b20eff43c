import type { InferenceRequest, ResponsePart } from '@baton/inference';
import { Observable } from 'rxjs';

/** Where a leg was run: on this instance, or in the pool of that role. */
export type LegSide = 'local' | 'prefill' | 'decode';

/** What a leg is, as far as its engine can tell. */
export type LegKind = 'prefill' | 'decode';

/** Where a leg is run, and what it is. */
export interface LegPlace {
  readonly side: LegSide;
  /** `host:port` of its endpoint; `here` on this instance. */
  readonly at: string;
  readonly kind: LegKind;
}

/** A leg that was begun. */
export interface RecordedLeg extends LegPlace {
  readonly leg: InferenceRequest;
  /** On the clock of `performance.now()`. */
  readonly startedAtMs: number;
  readonly endedAtMs: number | undefined;
  /** `left`: unsubscribed before its end. */
  readonly state: 'running' | 'complete' | 'failed' | 'left';
  /** How many parts of its answer came. */
  readonly parts: number;
}

type Writable<T> = { -readonly [Field in keyof T]: T[Field] };

/** The legs that were begun, in order. */
export class LegLog {
  readonly #legs: Writable<RecordedLeg>[] = [];

  get legs(): readonly RecordedLeg[] {
    return this.#legs;
  }

  get running(): readonly RecordedLeg[] {
    return this.#legs.filter(({ state }) => state === 'running');
  }

  /** Those of one side. */
  on(side: LegSide): readonly RecordedLeg[] {
    return this.#legs.filter((leg) => leg.side === side);
  }

  /** Passes an answer through and writes down what becomes of it, from each subscription on. */
  record(place: LegPlace, leg: InferenceRequest, answer: Observable<ResponsePart>): Observable<ResponsePart> {
    return new Observable((subscriber) => {
      const recorded: Writable<RecordedLeg> = {
        ...place,
        leg,
        startedAtMs: performance.now(),
        endedAtMs: undefined,
        state: 'running',
        parts: 0,
      };
      this.#legs.push(recorded);
      const end = (state: RecordedLeg['state']): void => {
        if (recorded.state !== 'running') return;
        recorded.state = state;
        recorded.endedAtMs = performance.now();
      };
      // Before the source: it may end in the moment in which it begins.
      subscriber.add(() => end('left'));
      subscriber.add(
        answer.subscribe({
          next: (part) => {
            recorded.parts += 1;
            subscriber.next(part);
          },
          error: (error: unknown) => {
            end('failed');
            subscriber.error(error);
          },
          complete: () => {
            end('complete');
            subscriber.complete();
          },
        }),
      );
    });
  }
}
