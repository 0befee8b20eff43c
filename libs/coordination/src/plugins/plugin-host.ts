import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { Subscription, type Observable } from 'rxjs';
import type { ChangeAuthor } from '../policy/policy-state.js';
import { findPlugins, type PluginCandidate } from './find-plugins.js';
import { Generations } from './generations.js';
import { identityOfCandidate } from './identity.js';
import { OperationQueue } from './operation-queue.js';
import { PluginBook } from './plugin-book.js';
import type { PluginError } from './plugin-error.js';
import { asPluginError, cannotStart, notFound } from './plugin-faults.js';
import { PluginLoader, type StagedPlugin } from './plugin-loader.js';
import type { PluginEvent, PluginFault, PluginState, ScanResult } from './plugin-state.js';
import {
  PLUGINS_OPTIONS,
  resolvePluginsOptions,
  type PluginsOptions,
  type ResolvedPluginsOptions,
} from './plugins-options.js';
import { ProvisionSwap } from './provision-swap.js';
import { scannedOn } from './scanned-on.js';
import { StrayWatch } from './stray-watch.js';
import { watchDirectories } from './watch-directories.js';

/** What a scan may do. */
export interface ScanOptions {
  /** Whether plugins are replaced whose content has changed. Default false. */
  readonly replace?: boolean;
  /** Who asks for it. */
  readonly by?: ChangeAuthor;
}

/** In the place of a plugin's name where it is about all of them. */
const ALL = '*';

/**
 * Loads, replaces and unloads plugins while requests run. One operation at a time; a request that is under way finishes on
 * the plugin that it started with.
 */
@Injectable()
export class PluginHost implements OnModuleInit, OnApplicationShutdown {
  readonly #options: ResolvedPluginsOptions;
  readonly #queue = new OperationQueue();
  readonly #subscription = new Subscription();
  readonly #watching = new Subscription();

  constructor(
    @Inject(PLUGINS_OPTIONS) options: PluginsOptions,
    private readonly loader: PluginLoader,
    private readonly generations: Generations,
    private readonly registries: ProvisionSwap,
    private readonly book: PluginBook,
    private readonly strays: StrayWatch,
  ) {
    this.#options = resolvePluginsOptions(options);
  }

  /** What goes wrong with plugins. Begins with what has gone wrong so far (the last 256). Never fails. */
  get faults(): Observable<PluginFault> {
    return this.book.faults;
  }

  /** What happens to plugins. Begins with what has happened so far (the last 256). Never fails. */
  get events(): Observable<PluginEvent> {
    return this.book.events;
  }

  /** How many contents of plugins this process has imported; {@link PluginsOptions.maxLoads} bounds it. */
  get imports(): number {
    return this.loader.imports;
  }

  /** @throws Error that names every plugin that could not be loaded, when `onFault` is `refuse`. */
  async onModuleInit(): Promise<void> {
    const { onFault, watch, directories } = this.#options;
    this.registries.discover();
    this.#subscription.add(this.strays.start());
    const errors: PluginError[] = [];
    await this.#queue.run(ALL, () => this.#scan({}, (error) => errors.push(error)));
    if (onFault === 'refuse' && errors.length > 0) {
      // Nest closes nothing of an application that did not start.
      await this.onApplicationShutdown();
      throw cannotStart(errors);
    }
    if (watch)
      this.#watching.add(scannedOn(watchDirectories(directories), () => this.scan({ replace: true })).subscribe());
  }

  /** Closes what is loaded, the last first; nothing is loaded any more then. */
  async onApplicationShutdown(): Promise<void> {
    this.#watching.unsubscribe();
    this.generations.hurry();
    await this.#queue.close(() => this.generations.close());
    await this.loader.close();
    this.#subscription.unsubscribe();
    this.book.close();
  }

  /** Every plugin that is known, by name. */
  list(): readonly PluginState[] {
    return this.book.list();
  }

  /**
   * Looks into the directories and loads the plugins that are new. One that was unloaded stays so until its content changes,
   * and one whose import failed is not tried again before that. What goes wrong is in the result and in {@link faults}.
   *
   * @throws PluginError 503 `plugin_busy`
   */
  async scan(options: ScanOptions = {}): Promise<ScanResult> {
    return this.#queue.run(ALL, () => this.#scan(options));
  }

  /**
   * Loads the plugin of that name from its directory, or replaces it. When that fails, what was loaded stays.
   *
   * @throws PluginError 404 `plugin_not_found`, 409 `plugin_in_use`, 503 `plugin_busy`, or 422 and what is wrong with it.
   */
  async load(name: string, by?: ChangeAuthor): Promise<PluginState> {
    return this.#queue.run(name, async () => {
      const { directories } = this.#options;
      const candidate = (await findPlugins(directories)).find((found) => found.name === name);
      if (candidate === undefined) {
        const where = directories.join(', ') || 'any directory, since none is configured';
        throw notFound(name, `there is no plugin of that name in ${where}`, 'Put its directory there first.');
      }
      const error = await this.#tryLoad(candidate, () => true, by);
      if (error !== undefined) throw error;
      return this.#stateOf(name);
    });
  }

  /**
   * Takes the plugin out of use. Requests that are under way finish on it; then it is closed.
   *
   * @returns its state, which is `draining`.
   * @throws PluginError 404 `plugin_not_found`, 409 `plugin_in_use`, 503 `plugin_busy`
   */
  async unload(name: string, by?: ChangeAuthor): Promise<PluginState> {
    return this.#queue.run(name, async () => {
      this.generations.take(name, by);
      return this.#stateOf(name);
    });
  }

  async #scan(
    { replace = false, by }: ScanOptions,
    onError: (error: PluginError) => void = () => undefined,
  ): Promise<ScanResult> {
    const [loaded, replaced, refused]: [string[], string[], string[]] = [[], [], []];
    const candidates = await findPlugins(this.#options.directories);
    this.book.keepOnly(new Set(candidates.map(({ name }) => name)));
    for (const candidate of candidates) {
      if (this.#queue.isClosed) break;
      const { name } = candidate;
      const before = this.generations.current(name);
      if (before !== undefined && !replace) continue;
      const error = await this.#tryLoad(candidate, (staged) => this.#isNew(staged), by);
      if (error !== undefined) onError(error);
      if (error !== undefined || this.book.get(name)?.status === 'refused') refused.push(name);
      else if (this.generations.current(name) !== before) (before === undefined ? loaded : replaced).push(name);
    }
    return { loaded, replaced, refused, plugins: this.list() };
  }

  /** Whether a content is worth a try: it is not what is loaded, was unloaded, or could not be imported. */
  #isNew({ manifest, contentHash }: StagedPlugin): boolean {
    if (this.loader.hasFailed(contentHash)) return false;
    const known = this.book.get(manifest.name);
    return known?.contentHash !== contentHash || known.status === 'refused';
  }

  /** @returns why it could not be loaded, which is told already; undefined also when it was not wanted. */
  async #tryLoad(
    candidate: PluginCandidate,
    isWanted: (staged: StagedPlugin) => boolean,
    by?: ChangeAuthor,
  ): Promise<PluginError | undefined> {
    let contentHash = '';
    try {
      const staged = await this.loader.stage(candidate);
      contentHash = staged.contentHash;
      if (isWanted(staged)) await this.generations.put(staged, by);
      else await this.loader.discard(staged);
      return undefined;
    } catch (thrown) {
      const error = asPluginError(candidate.name, thrown);
      const identity = { ...identityOfCandidate(candidate), contentHash };
      const isLoaded = this.generations.current(candidate.name) !== undefined;
      this.registries.expect(identity.provides);
      this.book.refused(identity, error, isLoaded, by?.who);
      return error;
    }
  }

  #stateOf(name: string): PluginState {
    const state = this.book.get(name);
    if (state !== undefined) return state;
    throw notFound(name, 'nothing is known of it any more', 'Scan the directories of plugins.');
  }
}
