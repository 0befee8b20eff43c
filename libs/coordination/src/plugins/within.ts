/**
 * `work`, or what `onLate` says when it takes longer than `timeoutMs`. What it comes to later is given to `onArrival`: a thing
 * that was made too late has to be closed by somebody.
 */
export function within<T>(
  work: Promise<T>,
  timeoutMs: number,
  onLate: () => Error,
  onArrival: (late: T) => void = () => undefined,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      reject(onLate());
    }, timeoutMs);
    work.then(
      (value) => {
        clearTimeout(timer);
        if (isLate) onArrival(value);
        else resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        // When it is late nobody waits for it any more.
        reject(error instanceof Error ? error : new Error(String(error)));
      },
    );
  });
}

/** A span of time for people. */
export const spoken = (ms: number): string => `${ms.toLocaleString('en')} ms`;

/** What was thrown, in one line for people. */
export function saidBy(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return text.split('\n')[0]?.slice(0, 500) ?? '';
}
