import { watchLauncher } from './launcher.js';

/** npm passes Ctrl-C on to a script that the terminal has told already; a repetition within this time is that. */
const SAME_REQUEST_MS = 1_000;

/** How the person at the terminal, or the system, asks for the end. */
export interface StopRequest {
  /** Aborted at the first request. */
  readonly signal: AbortSignal;
  /** Whether npm was killed, so that there is nobody left to wait for. */
  readonly isOrphaned: boolean;
}

/**
 * Listens for Ctrl-C, SIGTERM and the end of the terminal, and, under npm, for the end of npm.
 *
 * @param insist called when the request is repeated while the first is being carried out.
 */
export function listenForStop(env: NodeJS.ProcessEnv, insist: () => void): StopRequest {
  const controller = new AbortController();
  let requestedAt: number | undefined;
  let isOrphaned = false;
  const request = (): void => {
    const now = performance.now();
    if (requestedAt !== undefined && now - requestedAt > SAME_REQUEST_MS) insist();
    requestedAt ??= now;
    controller.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, request);
  watchLauncher(env, (how) => {
    isOrphaned = how === 'killed';
    controller.abort();
  });
  return {
    signal: controller.signal,
    get isOrphaned() {
      return isOrphaned;
    },
  };
}
