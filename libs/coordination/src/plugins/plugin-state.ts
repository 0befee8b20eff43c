import type { PluginErrorCode } from './plugin-error.js';

/**
 * `loaded`: it takes part. `refused`: it could not be loaded. `switched_off`: it is loaded, but not asked since
 * it failed too often. `draining`: it takes part in nothing new. `unloaded`: it is closed.
 */
export type PluginStatus = 'loaded' | 'refused' | 'switched_off' | 'draining' | 'unloaded';

/** A plugin that the host knows of. */
export interface PluginState {
  /** The name of its package; that of its directory when its `package.json` has none that can be used. */
  readonly name: string;
  /** Empty when its `package.json` has none that can be used. */
  readonly version: string;
  readonly status: PluginStatus;
  /** What it says it brings: `manager:acme`. */
  readonly provides: readonly string[];
  readonly directory: string;
  /** `sha256-` and base64: what a lock names. Empty when its files were not read. */
  readonly contentHash: string;
  /** How often it was loaded. */
  readonly loads: number;
  /** Its faults since it was loaded last; of one that never was, those of being loaded. */
  readonly failures: number;
  /** Why it does not take part. */
  readonly reason?: string;
  /** What can be done about that. */
  readonly fix?: string;
  readonly code?: PluginErrorCode;
  /** When it was loaded last, in ISO 8601. */
  readonly loadedAt?: string;
}

/** Something that went wrong with a plugin. */
export interface PluginFault {
  readonly plugin: string;
  /** Empty when it is not known. */
  readonly version: string;
  readonly code: PluginErrorCode;
  readonly reason: string;
  readonly fix: string;
  /** What its code threw, with its stack. */
  readonly cause?: unknown;
}

/** Something that happened to a plugin. */
export interface PluginEvent {
  readonly action: 'loaded' | 'replaced' | 'refused' | 'switched_off' | 'draining' | 'unloaded';
  readonly plugin: string;
  readonly version: string;
  readonly contentHash: string;
  /** In ISO 8601. */
  readonly at: string;
  /** Who asked for it; undefined at start and for what happens by itself. */
  readonly who?: string;
  /** Why, where there is something to say. */
  readonly reason?: string;
}

/** What a look into the directories came to. */
export interface ScanResult {
  /** Names of plugins that were not loaded before, and are now. */
  readonly loaded: readonly string[];
  /** Names of plugins whose content had changed and that were replaced. */
  readonly replaced: readonly string[];
  /** Names of plugins that could not be loaded, or not be replaced. */
  readonly refused: readonly string[];
  /** Every plugin that is known now, by name. */
  readonly plugins: readonly PluginState[];
}
