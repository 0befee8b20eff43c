import { isJsonObject, type JsonObject } from '@baton/inference';
import { posix } from 'node:path';
import type { PluginErrorCode } from './plugin-error.js';

/** Ends the reading of a manifest. */
export type Refuse = (reason: string, fix: string, code?: PluginErrorCode) => never;

/** What `import()` of a package looks for in its `exports`. */
const CONDITIONS = new Set(['node', 'import', 'module-sync', 'default']);
const LOADABLE = /\.[cm]?js$/;

/** The file that `import()` of the package gives: of `exports`, else `main`, else `index.js`; from its directory. */
export function entryOf({ exports: exported, main }: JsonObject, refuse: Refuse): string {
  const named = exported === undefined ? (main ?? 'index.js') : targetOf(rootOf(exported));
  if (typeof named !== 'string' || named === '') {
    return refuse('"exports" and "main" name no file', 'Name the built module, such as "exports": "./dist/index.js".');
  }
  const entry = posix.normalize(named.replaceAll('\\', '/'));
  if (posix.isAbsolute(entry) || entry.split('/')[0] === '..' || /^[A-Za-z]+:/.test(entry)) {
    return refuse(
      `its entry ${JSON.stringify(named)} is not in its directory`,
      'Name a file in the directory of the plugin.',
      'plugin_entry_outside',
    );
  }
  if (/\.[cm]?tsx?$/.test(entry)) {
    return refuse(`its entry ${named} is TypeScript`, 'Build it, and name the JavaScript that is made of it.');
  }
  if (!LOADABLE.test(entry)) {
    return refuse(
      `its entry ${JSON.stringify(named)} is no JavaScript`,
      'Name a file that ends with .js, .mjs or .cjs.',
    );
  }
  return entry;
}

/** The entry for `.`: that of a map of paths, or all of it. */
function rootOf(exported: unknown): unknown {
  const isMap = isJsonObject(exported) && Object.keys(exported).some((key) => key.startsWith('.'));
  return isMap ? exported['.'] : exported;
}

/** As Node does: the first condition that holds, in the order in which they are written. */
function targetOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(targetOf).find((target) => target !== undefined);
  if (!isJsonObject(value)) return value ?? undefined;
  for (const [condition, target] of Object.entries(value)) {
    const found = CONDITIONS.has(condition) ? targetOf(target) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}
