import { watch, type FSWatcher } from 'node:fs';
import { Observable } from 'rxjs';

/**
 * Emits when something may have changed in `directory`: at once where the operating system tells, and every `pollMs` in any
 * case, since a network file system tells nothing of others, and a directory that was made again is another one.
 */
export function watched(directory: string, pollMs: number): Observable<void> {
  return new Observable((subscriber) => {
    const poll = setInterval(() => subscriber.next(), pollMs);
    // A process ends when nothing else is left to do.
    poll.unref();
    const watcher = watcherOf(directory);
    watcher?.on('change', () => subscriber.next());
    watcher?.on('error', () => watcher.close());
    return () => {
      clearInterval(poll);
      watcher?.close();
    };
  });
}

function watcherOf(directory: string): FSWatcher | undefined {
  try {
    return watch(directory, { persistent: false });
  } catch {
    // Not there yet, or too many watchers on this machine: the poll is left.
    return undefined;
  }
}
