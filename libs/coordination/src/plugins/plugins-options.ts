import { tmpdir } from 'node:os';
import { resolve } from 'node:path';

/** What {@link PluginsModule.forRoot} takes. */
export interface PluginsOptions {
  /**
   * Where plugins are: each directory in one of these that has a `package.json` is one. Relative ones are taken from the
   * working directory. One that is not there is passed over; nothing is loaded from one that everybody may write to.
   */
  readonly directories: readonly string[];
  /** Options of plugins, by name. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** A plugin that cannot be loaded at start: `skip` starts without it, `refuse` does not start. Default `skip`. */
  readonly onFault?: 'skip' | 'refuse';
  /** The content that plugins must have, by name: `sha256-...`. When given, all others are refused. Default: none. */
  readonly lock?: Readonly<Record<string, string>>;
  /** Whether plugins are loaded and replaced when their directories change. Default false. */
  readonly watch?: boolean;
  /** For importing a plugin, and again for making its module, and for closing it. Default 10,000 ms. */
  readonly loadTimeoutMs?: number;
  /** How long requests may go on with a plugin that was replaced or unloaded. Default 30,000 ms. */
  readonly drainTimeoutMs?: number;
  /** From asking a plugin's manager to the first part of its answer, or a picker to its pick; then another is. Default 60,000 ms. */
  readonly firstPartTimeoutMs?: number;
  /** Faults of a plugin within the window after which what it brings is switched off; 0: never. Default 5. */
  readonly maxFailures?: number;
  /** That window. Default 60,000 ms. */
  readonly failureWindowMs?: number;
  /** Distinct contents that one process imports: what was imported stays in memory. Default 200. */
  readonly maxLoads?: number;
  /** Most files of one plugin. Default 10,000. */
  readonly maxFiles?: number;
  /** Most bytes of one plugin. Default 268,435,456. */
  readonly maxBytes?: number;
  /** Where the copies are made that plugins run from. Default: the system's directory for temporary files. */
  readonly stagingDirectory?: string;
}

/** Injection token of {@link PluginsOptions}. */
export const PLUGINS_OPTIONS = Symbol.for('baton/plugins-options');

/** {@link PluginsOptions} with their defaults. */
export interface ResolvedPluginsOptions extends Required<Omit<PluginsOptions, 'lock'>> {
  readonly lock: Readonly<Record<string, string>> | undefined;
}

const NUMBERS = {
  loadTimeoutMs: { least: 1, most: 2 ** 31 - 1, byDefault: 10_000 },
  drainTimeoutMs: { least: 0, most: 2 ** 31 - 1, byDefault: 30_000 },
  firstPartTimeoutMs: { least: 1, most: 2 ** 31 - 1, byDefault: 60_000 },
  maxFailures: { least: 0, most: 1_000_000, byDefault: 5 },
  failureWindowMs: { least: 1, most: 2 ** 31 - 1, byDefault: 60_000 },
  maxLoads: { least: 1, most: 1_000_000, byDefault: 200 },
  maxFiles: { least: 1, most: 1_000_000, byDefault: 10_000 },
  maxBytes: { least: 1, most: 2 ** 40, byDefault: 256 * 1024 * 1024 },
} as const;

const HASH = /^sha256-[A-Za-z0-9+/]{43}=$/;

/** @throws Error that names the option which is not allowed. */
export function resolvePluginsOptions(options: PluginsOptions): ResolvedPluginsOptions {
  const number = (name: keyof typeof NUMBERS): number => {
    const { least, most, byDefault } = NUMBERS[name];
    const value = options[name] ?? byDefault;
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    throw new Error(`${name} of the plugins must be a whole number of ${least} to ${most}.`);
  };
  for (const [name, hash] of Object.entries(options.lock ?? {})) {
    if (!HASH.test(hash))
      throw new Error(`The lock of the plugin "${name}" must be sha256- and 44 characters of base64.`);
  }
  return {
    directories: [...new Set(options.directories.map((directory) => resolve(directory)))],
    options: options.options ?? {},
    onFault: options.onFault ?? 'skip',
    lock: options.lock,
    watch: options.watch ?? false,
    loadTimeoutMs: number('loadTimeoutMs'),
    drainTimeoutMs: number('drainTimeoutMs'),
    firstPartTimeoutMs: number('firstPartTimeoutMs'),
    maxFailures: number('maxFailures'),
    failureWindowMs: number('failureWindowMs'),
    maxLoads: number('maxLoads'),
    maxFiles: number('maxFiles'),
    maxBytes: number('maxBytes'),
    stagingDirectory: resolve(options.stagingDirectory ?? tmpdir()),
  };
}
