import { Inject, Injectable } from '@nestjs/common';
import { FailureWindow } from './failure-window.js';
import { candidateJson, type PluginCandidate } from './find-plugins.js';
import type { Generation } from './generation.js';
import { HostBridge } from './host-bridge.js';
import { peerLinks } from './host-packages.js';
import { assertEntry, importPlugin, PluginImporter, type PluginExports } from './import-plugin.js';
import { Island } from './island.js';
import { readManifest, type PluginManifest } from './manifest.js';
import { PluginError } from './plugin-error.js';
import {
  PLUGINS_OPTIONS,
  resolvePluginsOptions,
  type PluginsOptions,
  type ResolvedPluginsOptions,
} from './plugins-options.js';
import { assertProvides, probe } from './provisions.js';
import { readOptions } from './read-options.js';
import { Staging, type StagedContent } from './staging.js';
import type { CodeHome } from './stray-failures.js';

/** A plugin whose manifest and files are in order, and of which nothing has run. */
export interface StagedPlugin extends StagedContent {
  readonly manifest: PluginManifest;
  /** Where it was copied from. */
  readonly source: string;
}

/** What failed so often fails again, and each try costs a load ({@link PluginsOptions.maxLoads}). */
const MAX_TRIES = 3;

/** A content that this process has imported. */
interface Imported {
  readonly home: string;
  readonly exports: PluginExports;
}

/** The way of a plugin from its directory to something that runs. Each step is bounded, and leaves nothing when it fails. */
@Injectable()
export class PluginLoader {
  readonly #options: ResolvedPluginsOptions;
  readonly #staging: Staging;
  /** By content: what was imported stays in memory, so that it is used again. */
  readonly #imported = new Map<string, Imported>();
  /** How often the import of a content failed. */
  readonly #failed = new Map<string, number>();
  readonly #homes: CodeHome[] = [];

  constructor(
    @Inject(PLUGINS_OPTIONS) options: PluginsOptions,
    private readonly bridge: HostBridge,
    private readonly importer: PluginImporter,
  ) {
    this.#options = resolvePluginsOptions(options);
    this.#staging = new Staging(this.#options.stagingDirectory, this.#options);
  }

  /** How many contents were imported, or tried to be. */
  get imports(): number {
    return this.#homes.length;
  }

  /** Where the code is that was imported: it may run as long as the process does. */
  get homes(): readonly CodeHome[] {
    return this.#homes;
  }

  /** Whether the import of that content failed before. */
  hasFailed(contentHash: string): boolean {
    return this.#failed.has(contentHash);
  }

  /**
   * Checks a plugin and copies it, without running any of it.
   *
   * @throws PluginError 422
   */
  async stage({ json, name, directory, problem }: PluginCandidate): Promise<StagedPlugin> {
    if (problem !== undefined) throw problem;
    // Before anything is copied of what is refused in any case.
    readManifest(json, name);
    const staged = await this.#staging.stage(name, directory);
    try {
      // Of the copy: the directory may have changed since it was found.
      const manifest = await stagedManifest(name, staged.directory);
      await this.#staging.link(staged.home, peerLinks(manifest));
      this.#assertLocked(manifest, staged);
      await assertEntry(manifest, staged.directory);
      return { ...staged, manifest, source: directory };
    } catch (error) {
      await this.discard(staged);
      throw error;
    }
  }

  /** Removes a copy that is not needed after all. */
  async discard({ home }: Pick<StagedContent, 'home'>): Promise<void> {
    await this.#staging.discard(home);
  }

  /**
   * Runs a plugin: imports it, checks its options, makes its module, and looks whether it brings what it says and whether that
   * works. Nobody uses it yet. The copy is removed when it is not needed any more.
   *
   * @param onStray told of what goes wrong when nobody waits for it any more.
   * @throws PluginError 422
   */
  async start(staged: StagedPlugin, onStray: (error: unknown) => void): Promise<Generation> {
    const { manifest, contentHash, source } = staged;
    const { loadTimeoutMs, options, maxFailures, failureWindowMs } = this.#options;
    const { name } = manifest;
    const { home, exports } = await this.#import(staged);
    const settings = await readOptions(name, exports.pluginOptions, options[name], loadTimeoutMs);
    const bridge = this.bridge.moduleFor(name, settings);
    const island = await Island.make(name, exports.module, bridge, loadTimeoutMs, onStray);
    try {
      const { provisions } = island;
      assertProvides(name, manifest.provides, provisions);
      await probe(name, provisions, loadTimeoutMs);
      const failures = new FailureWindow(maxFailures, failureWindowMs);
      return { manifest, contentHash, directory: source, home, island, provisions, failures };
    } catch (error) {
      await island.close().catch(onStray);
      throw error;
    }
  }

  /** Removes all copies. */
  async close(): Promise<void> {
    this.#imported.clear();
    await this.#staging.remove();
  }

  async #import(staged: StagedPlugin): Promise<Imported> {
    const { manifest, contentHash, home, directory } = staged;
    const known = this.#imported.get(contentHash);
    if (known !== undefined) {
      await this.discard(staged);
      return known;
    }
    const { maxLoads, loadTimeoutMs } = this.#options;
    const failed = this.#failed.get(contentHash) ?? 0;
    try {
      if (failed >= MAX_TRIES) throw failsAlways(manifest.name, failed);
      if (this.imports >= maxLoads) throw tooMany(manifest.name, maxLoads);
      this.#homes.push({ home, plugin: manifest.name, version: manifest.version });
      const exports = await importPlugin(manifest, directory, this.importer, loadTimeoutMs);
      const imported = { home, exports };
      this.#imported.set(contentHash, imported);
      this.#failed.delete(contentHash);
      return imported;
    } catch (error) {
      if (error instanceof PluginError && error.code !== 'plugin_load_limit') this.#failed.set(contentHash, failed + 1);
      // What is still being imported may look for files that are gone then; it is not wanted any more.
      await this.discard(staged);
      throw error;
    }
  }

  #assertLocked({ name: plugin }: PluginManifest, { contentHash }: StagedContent): void {
    const { lock } = this.#options;
    if (lock === undefined) return;
    const locked = Object.hasOwn(lock, plugin) ? lock[plugin] : undefined;
    if (locked === contentHash) return;
    throw new PluginError({
      plugin,
      code: 'plugin_hash_mismatch',
      reason: `its content is ${contentHash}, and the lock ${locked === undefined ? 'has none for it' : `says ${locked}`}`,
      fix: 'When that content is what you want, write its hash into the lock.',
    });
  }
}

function failsAlways(plugin: string, times: number): PluginError {
  return new PluginError({
    plugin,
    code: 'plugin_import_failed',
    reason: `the import of this content failed ${times} times, and is not tried again`,
    fix: 'Change it, or restart Baton when what it lacked is there now: what was imported stays in memory.',
  });
}

/** @throws PluginError 422 also when it is the manifest of another plugin than was found there. */
async function stagedManifest(plugin: string, directory: string): Promise<PluginManifest> {
  const manifest = readManifest(await candidateJson(plugin, directory), plugin);
  if (manifest.name === plugin) return manifest;
  throw new PluginError({
    plugin,
    code: 'plugin_invalid_manifest',
    reason: `its package.json named it "${manifest.name}" when it was copied`,
    fix: 'Do not change it while it is loaded; load it again.',
  });
}

function tooMany(plugin: string, maxLoads: number): PluginError {
  return new PluginError({
    plugin,
    code: 'plugin_load_limit',
    reason: `${maxLoads} contents of plugins were imported, which is the most that this process may`,
    fix: 'What was imported stays in memory until the end of the process: restart it.',
  });
}
