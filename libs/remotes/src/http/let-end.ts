import type { Dispatcher } from 'undici';

/** Nobody wants the answer any more. */
export class CallCancelled extends Error {
  override readonly name = 'CallCancelled';
}

const LONGEST_MS = 1_000;

/**
 * Gives an exchange whose answer is whole a moment to end: most end at once, and leave a connection that can be used again.
 * One that does not is closed.
 *
 * @returns what has to be called when it has ended.
 */
export function letEnd(controller: Dispatcher.DispatchController): () => void {
  const timer = setTimeout(() => controller.abort(new CallCancelled()), LONGEST_MS).unref();
  // Paused, it could not end. Not at once: undici resumes no connection while it reads another.
  queueMicrotask(() => controller.resume());
  return () => clearTimeout(timer);
}
