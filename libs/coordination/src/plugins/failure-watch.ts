import { Injectable } from '@nestjs/common';
import type { Generation } from './generation.js';
import { PluginBook } from './plugin-book.js';
import type { PluginError } from './plugin-error.js';

const FIX = 'Mend it, and load it again.';

/**
 * Counts what plugins do wrong. One that does so too often is switched off until it is loaded again: that is the state of what
 * is loaded in this process, and no policy, which would outlive it.
 */
@Injectable()
export class FailureWatch {
  constructor(private readonly book: PluginBook) {}

  /**
   * Something of `generation` went wrong.
   *
   * @param isCurrent whether it is what is loaded of its name.
   */
  failed({ manifest, failures }: Generation, error: PluginError, isCurrent: boolean): void {
    this.book.failed(manifest, error);
    if (!failures.failed() || !isCurrent) return;
    const reason = `it failed ${failures.limit} times within the window; the last time: ${error.reason}`;
    this.book.becomes(manifest.name, 'switched_off', { reason, fix: FIX });
  }
}
