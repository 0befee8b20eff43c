import { catchError, defer, EMPTY, exhaustMap, of, repeat, retry, tap, throwError, timer, type Observable } from 'rxjs';
import { PluginError } from './plugin-error.js';

const BUSY_RETRY_MS = 1_000;
/** Whoever keeps it busy for longer does more than a scan would. */
const MAX_BUSY_RETRIES = 60;

/**
 * Scans on each change, and once more for all changes that came during a scan: what that has looked at already may be another
 * by then. A scan that fails is told of elsewhere; one that has no turn is tried again after a while.
 */
export function scannedOn(changes: Observable<unknown>, scan: () => Promise<unknown>): Observable<unknown> {
  return defer(() => {
    let isMissed = false;
    const scanned = defer(() => {
      isMissed = false;
      return scan();
    }).pipe(
      retry({ count: MAX_BUSY_RETRIES, delay: ifBusy }),
      catchError(() => EMPTY),
    );
    return changes.pipe(
      tap(() => (isMissed = true)),
      exhaustMap(() => scanned.pipe(repeat({ delay: () => (isMissed ? of(true) : EMPTY) }))),
    );
  });
}

function ifBusy(error: unknown): Observable<unknown> {
  const isBusy = error instanceof PluginError && error.code === 'plugin_busy';
  return isBusy ? timer(BUSY_RETRY_MS) : throwError(() => error);
}
