import { PluginError } from './plugin-error.js';

const MAX_WAITING = 64;

/** Runs operations one after the other; what fails does not keep the next from running. Bounded. */
export class OperationQueue {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /**
   * @param plugin whose turn it is, for the error.
   * @throws PluginError 503 `plugin_busy` when too many wait.
   */
  run<T>(plugin: string, operation: () => Promise<T>): Promise<T> {
    if (this.#waiting >= MAX_WAITING) return Promise.reject(busy(plugin));
    this.#waiting += 1;
    const result = this.#last.then(operation).finally(() => (this.#waiting -= 1));
    this.#last = result.catch(() => undefined);
    return result;
  }
}

function busy(plugin: string): PluginError {
  return new PluginError({
    plugin,
    code: 'plugin_busy',
    reason: 'too many plugins are being loaded or unloaded at this moment',
    fix: 'Try it again in a second.',
  });
}
