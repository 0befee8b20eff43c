import { Injectable } from '@nestjs/common';
import { Subscription } from 'rxjs';
import { FailureWatch } from './failure-watch.js';
import { Generations } from './generations.js';
import { PluginBook } from './plugin-book.js';
import { pluginFailed } from './plugin-faults.js';
import { PluginLoader } from './plugin-loader.js';
import { StrayFailures, type CodeHome } from './stray-failures.js';

/** In the place of a plugin's name where nobody knows which it was; no package can be called so. */
const UNKNOWN = '(unknown)';

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

  #rejected(from: CodeHome | undefined, error: unknown): void {
    if (from === undefined) return this.#unknown(error);
    const { plugin, version, home } = from;
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

  #unknown(error: unknown): void {
    const names = [...new Set([...this.loader.homes].map(({ plugin, version }) => `${plugin}@${version}`))].join(', ');
    const what = 'something left a rejected promise that nobody handles';
    const fix = `See whose it is, of Baton or of ${names}, and handle what it rejects.`;
    this.book.failed({ name: UNKNOWN, version: '' }, pluginFailed(UNKNOWN, what, fix, error));
  }

  #uncaught({ plugin, version }: CodeHome, error: unknown): void {
    const what = 'it threw where nobody can catch it, which ends the process';
    const fault = pluginFailed(plugin, what, 'Catch what its timers and listeners throw.', error);
    this.book.failed({ name: plugin, version }, fault);
  }
}
