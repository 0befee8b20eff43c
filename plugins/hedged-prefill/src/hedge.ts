import { Observable, Subscription, timer, type MonoTypeOperatorFunction } from 'rxjs';

/** When something is attempted a second time. */
export interface HedgePlan {
  /** How long the first attempt has for itself, in ms; Infinity: for as long as it likes. */
  readonly delayMs: number;
  /** Asked when that time is over. */
  readonly mayHedge: () => boolean;
}

/**
 * Subscribes to the source, and once more when it has not answered in a while. The first answer is handed on; the other
 * attempt is unsubscribed before that. An attempt that fails leaves the answer to the other one, where there is one: then the
 * error is that of the first attempt, when both have failed.
 */
export function hedge<T>({ delayMs, mayHedge }: HedgePlan): MonoTypeOperatorFunction<T> {
  return (source) =>
    new Observable((subscriber) => {
      const everything = new Subscription();
      subscriber.add(everything);
      let running = 0;
      let first: { readonly error: unknown } | undefined;

      const attempt = (isFirst: boolean): void => {
        const own = new Subscription();
        everything.add(own);
        running += 1;
        let isAnswered = false;
        const ended = (): void => {
          running -= 1;
          if (running > 0) return;
          everything.unsubscribe();
          if (first === undefined) subscriber.complete();
          else subscriber.error(first.error);
        };
        own.add(
          source.subscribe({
            next: (answer) => {
              if (isAnswered) return subscriber.next(answer);
              isAnswered = true;
              // The winner goes on to its end.
              everything.remove(own);
              everything.unsubscribe();
              subscriber.add(own);
              subscriber.next(answer);
            },
            error: (error: unknown) => {
              if (isAnswered) return subscriber.error(error);
              if (isFirst || first === undefined) first = { error };
              ended();
            },
            complete: () => {
              if (isAnswered) subscriber.complete();
              else ended();
            },
          }),
        );
      };

      attempt(true);
      if (everything.closed || !Number.isFinite(delayMs)) return;
      everything.add(
        timer(delayMs).subscribe(() => {
          if (mayHedge()) attempt(false);
        }),
      );
    });
}
