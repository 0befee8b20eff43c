import type { ResponsePart } from '@baton/inference';
import { Observable } from 'rxjs';

/** How a leg is answered. */
export interface LegScript {
  /** May be without end. */
  readonly parts: Iterable<ResponsePart>;
  /** From the leg's begin to its first part, or to its end when it has none. 0: in the same moment. Default 10 ms. */
  readonly firstAfterMs?: number;
  /** From part to part, and from the last one to the end. 0: in the same moment. Default 1 ms. */
  readonly everyMs?: number;
  /** What comes behind the last part: the end, an error, or nothing ever. Default the end. */
  readonly end?: 'complete' | 'silent' | { readonly error: unknown };
}

/** Plays `script`, each time from its begin, by `setTimeout`. Cold; unsubscribing stops it. */
export function playScript(script: LegScript): Observable<ResponsePart> {
  const { parts, firstAfterMs = 10, everyMs = 1, end = 'complete' } = script;
  return new Observable((subscriber) => {
    const left = parts[Symbol.iterator]();
    let timer: NodeJS.Timeout | undefined;
    const after = (ms: number, step: () => void): void => {
      if (ms > 0) timer = setTimeout(step, ms);
      else step();
    };
    const finish = (): void => {
      if (end === 'complete') subscriber.complete();
      else if (end !== 'silent') subscriber.error(end.error);
    };
    const step = (): void => {
      // In a loop: what is played in one moment must not need a stack as long as it is.
      while (!subscriber.closed) {
        const next = left.next();
        if (next.done === true) return finish();
        subscriber.next(next.value);
        if (everyMs > 0) {
          timer = setTimeout(step, everyMs);
          return;
        }
      }
    };
    after(firstAfterMs, step);
    return () => {
      clearTimeout(timer);
      left.return?.();
    };
  });
}
