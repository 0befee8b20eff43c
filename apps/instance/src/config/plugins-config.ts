import { fileURLToPath } from 'node:url';
import { notAllowed, type Fault } from './fault.js';
import { REDACTED } from './map-faults.js';
import { isSection } from './section.js';
import { Choice, Flag, Milliseconds, Setting, Text, WholeNumber } from './setting.js';

/** The folder of this installation for plugins, wherever the process was started from. */
export const PLUGINS_FOLDER = fileURLToPath(new URL('../../../../plugins', import.meta.url));

/** A name that npm allows for a package, with a scope or without. */
const PACKAGE_NAME = /^(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/;
const MAX_NAME = 214;
const HASH = /^sha256-[A-Za-z0-9+/]{43}=$/;
const MAX_COUNT = 1_000_000;
const GIBIBYTE = 1024 ** 3;

const isPackageName = (name: string): boolean => name.length <= MAX_NAME && PACKAGE_NAME.test(name);

/** Directories on disk, each once. In the environment they are separated by commas. */
export function DirectoryList(description: string, defaultText: string): PropertyDecorator {
  return Setting(
    { description, allowed: 'a list of paths that are not empty, each once', defaultText },
    (value) =>
      Array.isArray(value) &&
      value.every((item: unknown) => typeof item === 'string' && item !== '') &&
      new Set(value).size === value.length,
  );
}

/** Options by the name of a plugin. What they mean only the plugin knows, so that every value may be a secret. */
export function PluginOptionsMap(description: string): PropertyDecorator {
  return Setting(
    {
      description: `${description}; JSON in the environment`,
      allowed: 'a map from names of plugins to maps of options',
      shown: shownOptions,
      faults: (value) => entryFaults(value, { allowed: 'a map of options', isAllowed: isSection, isSecret: true }),
      isJson: true,
    },
    isSection,
  );
}

/** Content hashes by the name of a plugin. */
function HashMap(description: string): PropertyDecorator {
  const isAllowed = (value: unknown): boolean => typeof value === 'string' && HASH.test(value);
  return Setting(
    {
      description: `${description}; JSON in the environment`,
      allowed: 'a map from names of plugins to hashes such as sha256-...',
      faults: (value) => entryFaults(value, { allowed: 'sha256- and 44 characters of base64', isAllowed }),
      isJson: true,
    },
    isSection,
  );
}

interface Entry {
  readonly allowed: string;
  readonly isAllowed: (value: unknown) => boolean;
  readonly isSecret?: boolean;
}

function entryFaults(value: unknown, { allowed, isAllowed, isSecret = false }: Entry): Fault[] {
  if (!isSection(value)) return [];
  return Object.entries(value).flatMap(([name, entry]: [string, unknown]) => {
    if (!isPackageName(name)) return [{ at: `.${name}`, problem: ': that is not the name of a plugin' }];
    return isAllowed(entry) ? [] : [{ at: `.${name}`, problem: notAllowed(isSecret ? REDACTED : entry, allowed) }];
  });
}

/** Only which options are set. */
function shownOptions(value: unknown): unknown {
  if (!isSection(value)) return REDACTED;
  return Object.fromEntries(
    Object.entries(value).map(([name, options]: [string, unknown]) => [
      name,
      isSection(options) ? Object.fromEntries(Object.keys(options).map((key) => [key, REDACTED])) : REDACTED,
    ]),
  );
}

/** How plugins are loaded, bounded and switched off. */
export class PluginHostConfig {
  @Choice('A plugin that cannot be loaded at start: skip starts without it, refuse does not start', ['skip', 'refuse'])
  readonly onFault: 'skip' | 'refuse' = 'skip';

  @HashMap('The content that plugins must have, by name; others are refused then. Empty allows any')
  readonly lock: Readonly<Record<string, string>> = {};

  @Flag('Whether plugins are loaded and replaced when their directories change')
  readonly watch: boolean = false;

  @Milliseconds('For each step of loading a plugin (import, options, module, probe), and for closing it, in ms')
  readonly loadTimeoutMs: number = 10_000;

  @Milliseconds('How long requests may go on with a plugin that was replaced or removed, in ms')
  readonly drainTimeoutMs: number = 30_000;

  @Milliseconds("From asking a plugin's manager to the first part of its answer; then the next one is asked, in ms")
  readonly firstPartTimeoutMs: number = 60_000;

  @WholeNumber('Faults of a plugin within the window after which what it brings is switched off; 0: it never is', {
    min: 0,
    max: MAX_COUNT,
  })
  readonly maxFailures: number = 5;

  @Milliseconds('That window, in ms')
  readonly failureWindowMs: number = 60_000;

  @WholeNumber('Distinct contents of plugins that one process imports: what was imported stays in memory', {
    min: 1,
    max: MAX_COUNT,
  })
  readonly maxLoads: number = 200;

  @WholeNumber('Most files of one plugin', { min: 1, max: MAX_COUNT })
  readonly maxFiles: number = 10_000;

  @WholeNumber('Largest plugin, in bytes', { min: 1, max: 16 * GIBIBYTE })
  readonly maxBytes: number = GIBIBYTE / 4;

  @Text('Folder for the copies that plugins run from; empty takes the temporary folder')
  readonly stagingDirectory: string = '';
}
