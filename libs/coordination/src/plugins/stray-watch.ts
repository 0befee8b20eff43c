import { Injectable } from '@nestjs/common';
import { Subscription } from 'rxjs';
import { FailureWatch } from './failure-watch.js';
import { Generations } from './generations.js';
import { PluginBook } from './plugin-book.js';
import { pluginFailed } from './plugin-faults.js';
import { PluginLoader } from './plugin-loader.js';
import { StrayFailures, type CodeHome } from './stray-failures.js';

/** Counts what plugins leave lying about as their failures. */
@Injectable()
export class StrayWatch {
  constructor(
    private readonly loader: PluginLoader,
    private readonly generations: Generations,
    private readonly failures: FailureWatch,
    private readonly book: PluginBook,
  ) {}

  start(): Subscription {
    const strays = new StrayFailures(
      () => this.loader.homes,
      (home, error) => this.#rejected(home, error),
      (home, error) => this.#uncaught(home, error),
    );
    strays.start();
    return new Subscription(() => strays.stop());
  }

  #rejected({ plugin, version, home }: CodeHome, error: unknown): void {
    const fault = pluginFailed(
      plugin,
      'it left a rejected promise that nobody handles',
      'Handle what it rejects.',
      error,
    );
    const current = this.generations.current(plugin);
    if (current?.home === home) this.failures.failed(current, fault, true);
    else this.book.failed({ name: plugin, version }, fault);
  }

  #uncaught({ plugin, version }: CodeHome, error: unknown): void {
    const what = 'it threw where nobody can catch it, which ends the process';
    const fault = pluginFailed(plugin, what, 'Catch what its timers and listeners throw.', error);
    this.book.failed({ name: plugin, version }, fault);
  }
}
