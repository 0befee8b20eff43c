import { InstanceConfig } from './instance-config.js';
import { isSection } from './section.js';
import { settingInfo, type SettingInfo } from './setting.js';

/** One setting of the tree, with everything that follows from its place in it. */
export interface Leaf {
  /** As in the YAML file: `engine.contextTokens`. */
  readonly key: string;
  readonly path: readonly string[];
  /** The environment variable that overrides it: `BATON_ENGINE_CONTEXT_TOKENS`. */
  readonly variable: string;
  /** Tells how the text of an environment variable is read. */
  readonly kind: 'number' | 'text' | 'boolean' | 'list' | 'json';
  readonly defaultValue: unknown;
  readonly info: SettingInfo;
}

/** Every setting, in the order of the tree. */
export const LEAVES: readonly Leaf[] = leavesOf(new InstanceConfig(), []);

/** The value at `path`; undefined where there is none. */
export function valueAt(section: object, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, name) =>
      isSection(value) && Object.hasOwn(value, name) ? (Reflect.get(value, name) as unknown) : undefined,
    section,
  );
}

/** Puts `value` at the path of a leaf. */
export function setAt(section: object, path: readonly string[], value: unknown): void {
  const parent = valueAt(section, path.slice(0, -1));
  const name = path.at(-1);
  if (isSection(parent) && name !== undefined) Reflect.set(parent, name, value);
}

function leavesOf(section: object, parents: readonly string[]): Leaf[] {
  return Object.entries(section).flatMap(([name, value]: [string, unknown]) => {
    const path = [...parents, name];
    const info = settingInfo(section, name);
    if (info === undefined && isSection(value)) return leavesOf(value, path);
    if (info === undefined) throw new Error(`The setting ${path.join('.')} has no decorator.`);
    return [
      {
        key: path.join('.'),
        path,
        variable: variableOf(path),
        kind: info.isJson ? 'json' : kindOf(value),
        defaultValue: value,
        info,
      },
    ];
  });
}

function variableOf(path: readonly string[]): string {
  return ['baton', ...path].map((name) => name.replace(/([A-Z])/g, '_$1').toUpperCase()).join('_');
}

function kindOf(value: unknown): Leaf['kind'] {
  if (Array.isArray(value)) return 'list';
  if (typeof value === 'boolean') return 'boolean';
  return typeof value === 'number' ? 'number' : 'text';
}
