import { statSync, watch, type FSWatcher } from 'node:fs';
import { debounceTime, defer, map, merge, Observable, retry, Subject, tap } from 'rxjs';

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
  return defer(() => {
    const quiet = new Subject<void>();
    const changes = directories.map((directory) => changesIn(directory, pollMs, quiet).pipe(retry({ delay: retryMs })));
    // Before anybody looks what it is that has changed.
    return merge(...changes).pipe(
      debounceTime(QUIET_MS),
      tap(() => quiet.next()),
    );
  });
}

/**
 * Fails when the directory is not there, or is another one: what was removed and made again tells its watcher nothing. That is
 * so of the directories in it as well, so that they are watched anew each time when nothing changes any more.
 */
function changesIn(directory: string, pollMs: number, quiet: Observable<void>): Observable<string> {
  return new Observable((subscriber) => {
    const watched = identityOf(directory);
    const look = (): void => {
      if (identityOf(directory) !== watched) subscriber.error(new Error(`${directory} is another one.`));
    };
    const open = (): FSWatcher => {
      const watcher = watch(directory, { recursive: true, persistent: false });
      watcher.on('change', (kind) => {
        subscriber.next(directory);
        if (kind === 'rename') look();
      });
      watcher.on('error', (error) => subscriber.error(error));
      return watcher;
    };
    let watcher = open();
    const renew = (): void => {
      watcher.close();
      watcher = open();
    };
    const poll = setInterval(look, pollMs);
    // A process ends when nothing else is left to do.
    poll.unref();
    subscriber.add(quiet.pipe(map(renew)).subscribe({ error: (error: unknown) => subscriber.error(error) }));
    // What came while nobody looked.
    subscriber.next(directory);
    return () => {
      clearInterval(poll);
      watcher.close();
    };
  });
}

/** The same for one directory as long as it is there; undefined for one that cannot be found. */
function identityOf(directory: string): string | undefined {
  try {
    const { dev, ino, birthtimeNs } = statSync(directory, { bigint: true });
    // The inode of what was removed is given to what is made next.
    return `${dev}:${ino}:${birthtimeNs}`;
  } catch {
    return undefined;
  }
}
