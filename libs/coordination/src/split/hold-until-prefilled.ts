import { FlowValve, type JsonObject, type ResponsePart } from '@baton/inference';
import { defer, Observable, Subject } from 'rxjs';

/** The two legs of a concurrent split. */
export interface ConcurrentLegs {
  /** P's answer; emits once. */
  readonly prefill: Observable<JsonObject>;
  /** D's answer; pauses while the valve is closed. */
  decode(valve: FlowValve): Observable<ResponsePart>;
  /** The client's answer from D's, now that P has answered. */
  join(answer: JsonObject, parts: Observable<ResponsePart>): Observable<ResponsePart>;
}

/**
 * Runs both legs at once and lets nothing of D's answer out before P has answered: a P that fails in the middle of the
 * transfer can leave a D that answers 200 with nonsense (SGLang #33507). D is paused from its first part on, so that
 * what is held back stays small. The first leg that fails ends the other, and its error is the one that is shown.
 *
 * @param valve the client's.
 */
export function holdUntilPrefilled(legs: ConcurrentLegs, valve: FlowValve): Observable<ResponsePart> {
  return new Observable((subscriber) => {
    const decodeValve = new FlowValve();
    const held: ResponsePart[] = [];
    const out = new Subject<ResponsePart>();
    let isOpen = false;
    let isComplete = false;
    const release = (answer: JsonObject): void => {
      // Thrown in an observer it would reach nobody.
      subscriber.add(defer(() => legs.join(answer, out)).subscribe(subscriber));
      isOpen = true;
      for (const part of held.splice(0)) out.next(part);
      if (isComplete) out.complete();
      else subscriber.add(valve.state$.subscribe((open) => (open ? decodeValve.open() : decodeValve.close())));
    };
    const fail = (error: unknown): void => subscriber.error(error);
    // P first: when it fails at once, D is never sent.
    subscriber.add(legs.prefill.subscribe({ next: release, error: fail }));
    if (subscriber.closed) return;
    subscriber.add(
      legs.decode(decodeValve).subscribe({
        next: (part) => {
          if (isOpen) return out.next(part);
          held.push(part);
          decodeValve.close();
        },
        error: fail,
        complete: () => {
          isComplete = true;
          if (isOpen) out.complete();
        },
      }),
    );
  });
}
