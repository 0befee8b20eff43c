import type { FailureWindow } from './failure-window.js';
import type { Island } from './island.js';
import type { PluginManifest } from './manifest.js';
import type { Provisions } from './provisions.js';

/** One content of a plugin, running. */
export interface Generation {
  readonly manifest: PluginManifest;
  readonly contentHash: string;
  /** Where its directory was when it was loaded. */
  readonly directory: string;
  /** Of its copy: what a stack of its code names. */
  readonly home: string;
  readonly island: Island;
  readonly provisions: Provisions;
  readonly failures: FailureWindow;
}
