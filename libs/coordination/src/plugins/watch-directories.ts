import { statSync, watch } from 'node:fs';
import { debounceTime, merge, Observable, retry } from 'rxjs';

/** Files that are written one after the other are one change. */
const QUIET_MS = 500;

/** How directories are watched. */
export interface WatchTimes {
  /** How often it is looked whether a directory is still the one that is watched. Default 2,000 ms. */
  readonly pollMs?: number;
  /** When a directory that is not there, or is gone, is looked for again. Default 5,000 ms. */
  readonly retryMs?: number;
}

/** Tells that something in `directories` has changed and that nothing changes any more. Never fails. */
export function watchDirectories(
  directories: readonly string[],
  { pollMs = 2_000, retryMs = 5_000 }: WatchTimes = {},
): Observable<unknown> {
  return merge(...directories.map((directory) => changesIn(directory, pollMs).pipe(retry({ delay: retryMs })))).pipe(
    debounceTime(QUIET_MS),
  );
}

/** Fails when the directory is not there, or is another one: what was removed and made again tells its watcher nothing. */
function changesIn(directory: string, pollMs: number): Observable<string> {
  return new Observable((subscriber) => {
    const watched = identityOf(directory);
    const watcher = watch(directory, { recursive: true, persistent: false });
    watcher.on('change', () => subscriber.next(directory));
    watcher.on('error', (error) => subscriber.error(error));
    const poll = setInterval(() => {
      if (identityOf(directory) !== watched) subscriber.error(new Error(`${directory} is another one.`));
    }, pollMs);
    // A process ends when nothing else is left to do.
    poll.unref();
    // What came while nobody looked.
    subscriber.next(directory);
    return () => {
      clearInterval(poll);
      watcher.close();
    };
  });
}

/** The same for one directory as long as it is there. */
function identityOf(directory: string): string | undefined {
  const found = statSync(directory, { throwIfNoEntry: false });
  return found && `${found.dev}:${found.ino}`;
}
