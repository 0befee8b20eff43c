import { Inject, Injectable } from '@nestjs/common';
import type { Containment } from '../dispatch/containment.js';
import type { ChangeAuthor } from '../policy/policy-state.js';
import { Drain } from './drain.js';
import { FailureWatch } from './failure-watch.js';
import type { Generation } from './generation.js';
import { identityOf } from './identity.js';
import { PluginBook } from './plugin-book.js';
import { notFound, pluginFailed } from './plugin-faults.js';
import { PluginLoader, type StagedPlugin } from './plugin-loader.js';
import {
  PLUGINS_OPTIONS,
  resolvePluginsOptions,
  type PluginsOptions,
  type ResolvedPluginsOptions,
} from './plugins-options.js';
import { ProvisionSwap } from './provision-swap.js';

/** Generations that may wait for their requests at once; the next load waits for one of them. */
const MAX_DRAINING = 16;

/** What is loaded, and what is only kept for the requests that began with it. Its methods are called one after the other. */
@Injectable()
export class Generations {
  readonly #options: ResolvedPluginsOptions;
  /** By name, in the order in which they were loaded. */
  readonly #current = new Map<string, Generation>();
  readonly #draining = new Set<Promise<void>>();

  constructor(
    @Inject(PLUGINS_OPTIONS) options: PluginsOptions,
    private readonly loader: PluginLoader,
    private readonly registries: ProvisionSwap,
    private readonly drain: Drain,
    private readonly watch: FailureWatch,
    private readonly book: PluginBook,
  ) {
    this.#options = resolvePluginsOptions(options);
  }

  /** What is loaded of that name. */
  current(name: string): Generation | undefined {
    return this.#current.get(name);
  }

  /**
   * Starts what is staged and puts it in the place of what is loaded of its name, if something is.
   *
   * @throws PluginError; then what was loaded stays, and nothing is left of what was to come.
   */
  async put(staged: StagedPlugin, by?: ChangeAuthor): Promise<void> {
    const { manifest } = staged;
    const { name } = manifest;
    const before = this.#current.get(name);
    try {
      this.registries.assertFree(name, manifest.provides, before?.manifest.provides ?? []);
    } catch (error) {
      await this.loader.discard(staged);
      throw error;
    }
    if (this.#draining.size >= MAX_DRAINING) await Promise.race(this.#draining);
    const generation = await this.loader.start(staged, (error) => this.#notClosed(staged, error));
    const containment = this.#containment(generation);
    try {
      this.registries.swap(name, before?.provisions, { manifest, provisions: generation.provisions, containment });
    } catch (error) {
      await this.#close(generation);
      throw error;
    }
    this.#current.delete(name);
    this.#current.set(name, generation);
    const identity = identityOf(manifest, generation.directory, generation.contentHash);
    this.book.loaded(identity, generation.failures, before !== undefined, by?.who);
    if (before !== undefined) this.#retire(before, () => undefined);
  }

  /** @throws PluginError 404 `plugin_not_found`, 409 `plugin_in_use`; then nothing is changed. */
  take(name: string, by?: ChangeAuthor): void {
    const generation = this.#current.get(name);
    if (generation === undefined)
      throw notFound(name, 'it is not loaded', 'See GET /admin/plugins for those that are.');
    this.registries.assertUnused(name, generation.manifest.provides);
    this.registries.swap(name, generation.provisions);
    this.#current.delete(name);
    this.book.becomes(name, 'draining', { who: by?.who });
    this.#retire(generation, () => {
      // It may have been loaded again meanwhile.
      if (this.book.get(name)?.status === 'draining') this.book.becomes(name, 'unloaded', { who: by?.who });
    });
  }

  /** Nothing that is retired waits for its requests any more, nor does a load that waits for that. */
  hurry(): void {
    this.drain.cut();
  }

  /** Closes everything, the last first. Nothing is waited for but its hooks, which are bounded. */
  async close(): Promise<void> {
    this.hurry();
    for (const [name, generation] of [...this.#current].reverse()) {
      this.#current.delete(name);
      await this.#close(generation);
    }
    await Promise.all(this.#draining);
  }

  #containment(generation: Generation): Containment {
    const { name } = generation.manifest;
    const onFault = (error: Error): void => {
      const fault = pluginFailed(
        name,
        'something that it brings failed while a request was dispatched',
        'Mend it; the request was answered without it where that was possible.',
        error,
      );
      this.watch.failed(generation, fault, this.#current.get(name) === generation);
    };
    const { firstPartTimeoutMs } = this.#options;
    return {
      firstPartTimeoutMs,
      onFault,
      get isOff(): boolean {
        return generation.failures.isOver;
      },
    };
  }

  /** Lets what began with `generation` finish on it, then closes it. */
  #retire(generation: Generation, onClosed: () => void): void {
    const { drainTimeoutMs } = this.#options;
    const retired = this.drain
      .ended(drainTimeoutMs)
      .then(() => this.#close(generation))
      .then(onClosed)
      .finally(() => this.#draining.delete(retired));
    this.#draining.add(retired);
  }

  async #close(generation: Generation): Promise<void> {
    await generation.island.close().catch((error: unknown) => this.#notClosed(generation, error));
  }

  #notClosed({ manifest }: Pick<Generation, 'manifest'>, error: unknown): void {
    const fix = 'Mend onModuleDestroy, beforeApplicationShutdown and onApplicationShutdown of it.';
    this.book.failed(manifest, pluginFailed(manifest.name, 'it could not be closed', fix, error));
  }
}
