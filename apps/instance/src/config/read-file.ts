import { readFileSync } from 'node:fs';
import { types } from 'node:util';
import { parseDocument } from 'yaml';
import type { GivenSetting, Layer } from './layer.js';
import { LEAVES } from './leaves.js';

/** The settings that the YAML file at `path` gives. */
export function readFile(path: string): Layer {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    return { settings: [], problems: [`The configuration file ${path} cannot be read: ${messageOf(error)}.`] };
  }
  return readYaml(text, path);
}

/** The settings that YAML gives; `source` names it in problems. */
export function readYaml(text: string, source: string): Layer {
  const document = parseDocument(text, { prettyErrors: true });
  const [error] = document.errors;
  if (error !== undefined) {
    return { settings: [], problems: [`The configuration file ${source} is not valid YAML: ${error.message.trim()}`] };
  }
  let root: unknown;
  try {
    // Maps, not objects: a key such as __proto__ is then a key like any other (and an unknown one).
    root = document.toJS({ mapAsMap: true, maxAliasCount: 100 });
  } catch (cause) {
    return { settings: [], problems: [`The configuration file ${source} is not valid YAML: ${messageOf(cause)}.`] };
  }
  if (root === null || root === undefined) return { settings: [], problems: [] };
  if (!(root instanceof Map)) {
    return { settings: [], problems: [`The configuration file ${source} must hold sections: ${SECTIONS.join(', ')}.`] };
  }
  const settings: GivenSetting[] = [];
  const problems: string[] = [];
  collect(root, []);
  return { settings, problems };

  function collect(section: ReadonlyMap<unknown, unknown>, parents: readonly string[]): void {
    for (const [name, value] of section) {
      const path = [...parents, String(name)];
      const key = path.join('.');
      const leaf = LEAVES.find((candidate) => candidate.key === key);
      const isSectionKey = LEAVES.some((candidate) => candidate.key.startsWith(`${key}.`));
      if (leaf !== undefined) settings.push({ leaf, value: plain(value), source });
      else if (!isSectionKey) problems.push(`${key} (${source}) is not a setting; ${siblings(parents)}.`);
      else if (value instanceof Map) collect(value, path);
      else if (value !== null) problems.push(`${key} (${source}) must be a section; ${siblings(path)}.`);
    }
  }
}

const SECTIONS = namesBelow([]);

function siblings(parents: readonly string[]): string {
  const place = parents.length === 0 ? 'the sections are' : `${parents.join('.')} has`;
  return `${place} ${namesBelow(parents).join(', ')}`;
}

function namesBelow(parents: readonly string[]): string[] {
  const below = LEAVES.filter(({ path }) => parents.every((name, depth) => path[depth] === name));
  return [...new Set(below.map(({ path }) => path[parents.length] ?? ''))];
}

/** Maps inside a value as objects; any key, also `__proto__`, becomes a property of its own. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (!(value instanceof Map)) return value;
  return Object.fromEntries([...value].map(([key, item]) => [String(key), plain(item)]));
}

function messageOf(error: unknown): string {
  return types.isNativeError(error) ? error.message.replace(/\.$/, '') : String(error);
}
