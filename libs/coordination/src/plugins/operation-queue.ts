import { PluginError } from './plugin-error.js';

const MAX_WAITING = 64;

/** Runs operations one after the other; what fails does not keep the next from running. Bounded. */
export class OperationQueue {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #isClosed = false;

  /**
   * @param plugin whose turn it is, for the error.
   * @throws PluginError 503 `plugin_busy` when too many wait, or the queue is closed before its turn.
   */
  run<T>(plugin: string, operation: () => Promise<T>): Promise<T> {
    if (this.#isClosed) return Promise.reject(closed(plugin));
    if (this.#waiting >= MAX_WAITING) return Promise.reject(busy(plugin));
    this.#waiting += 1;
    const result = this.#last
      .then(() => (this.#isClosed ? Promise.reject(closed(plugin)) : operation()))
      .finally(() => (this.#waiting -= 1));
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Whether what runs now is better ended soon. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Runs `last` after what runs now. What waits is refused, and what comes later. */
  close(last: () => Promise<void>): Promise<void> {
    this.#isClosed = true;
    return this.#last.then(last);
  }
}

function busy(plugin: string): PluginError {
  const reason = 'too many plugins are being loaded or unloaded at this moment';
  return new PluginError({ plugin, code: 'plugin_busy', reason, fix: 'Try it again in a second.' });
}

function closed(plugin: string): PluginError {
  const reason = 'all plugins are being closed';
  return new PluginError({ plugin, code: 'plugin_busy', reason, fix: 'Start the instance again.' });
}
