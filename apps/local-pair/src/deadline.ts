/**
 * Runs `work` with a signal that is aborted when `stop` is, or after `timeoutMs`.
 *
 * It keeps its own timer: in Node 20, a timeout signal that only `AbortSignal.any` refers to can be garbage
 * collected and then never fires (nodejs/node#57736).
 */
export async function withDeadline<T>(
  stop: AbortSignal,
  timeoutMs: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const abort = (): void => controller.abort(stop.reason);
  const timer = setTimeout(
    () => controller.abort(new DOMException(`It took more than ${timeoutMs / 1000} s.`, 'TimeoutError')),
    timeoutMs,
  );
  if (stop.aborted) abort();
  stop.addEventListener('abort', abort, { once: true });
  try {
    return await work(controller.signal);
  } finally {
    clearTimeout(timer);
    stop.removeEventListener('abort', abort);
  }
}
