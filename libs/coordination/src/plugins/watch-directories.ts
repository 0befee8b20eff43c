import { watch } from 'node:fs';
import { debounceTime, merge, Observable, retry } from 'rxjs';

/** Files that are written one after the other are one change. */
const QUIET_MS = 500;
/** A directory that is not there, or is gone, may come again. */
const RETRY_MS = 5_000;

/** Tells that something in `directories` has changed and that nothing changes any more. Never fails. */
export function watchDirectories(directories: readonly string[]): Observable<unknown> {
  return merge(...directories.map((directory) => changesIn(directory).pipe(retry({ delay: RETRY_MS })))).pipe(
    debounceTime(QUIET_MS),
  );
}

function changesIn(directory: string): Observable<string> {
  return new Observable((subscriber) => {
    const watcher = watch(directory, { recursive: true, persistent: false });
    watcher.on('change', () => subscriber.next(directory));
    watcher.on('error', (error) => subscriber.error(error));
    // What came while nobody looked.
    subscriber.next(directory);
    return () => watcher.close();
  });
}
