import { validateSync, type ValidationError } from 'class-validator';
import { ConfigError } from './config.error.js';
import { InstanceConfig } from './instance-config.js';
import type { Layer } from './layer.js';
import { LEAVES, setAt } from './leaves.js';
import { readEnvironment } from './read-environment.js';
import { readFile } from './read-file.js';

/** Where a configuration comes from. The environment wins over the file, the file over the defaults. */
export interface ConfigSources {
  /** Path of a YAML file. */
  readonly file?: string;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Reads and checks the configuration of an instance.
 *
 * @throws ConfigError that tells all problems at once.
 */
export function loadConfig({ file, env }: ConfigSources): InstanceConfig {
  return mergeLayers([...(file === undefined ? [] : [readFile(file)]), readEnvironment(env)]);
}

/**
 * The defaults, overridden by each layer in turn.
 *
 * @throws ConfigError
 */
export function mergeLayers(layers: readonly Layer[]): InstanceConfig {
  const config = new InstanceConfig();
  const sources = new Map<string, string>();
  for (const { leaf, value, source } of layers.flatMap(({ settings }) => settings)) {
    setAt(config, leaf.path, value);
    sources.set(leaf.key, source);
  }
  const unreadable = layers.flatMap(({ problems }) => problems);
  const refused = flatten(validateSync(config)).map((error) => describe(error, sources));
  if (unreadable.length + refused.length > 0) throw new ConfigError([...unreadable, ...refused]);
  return config;
}

interface Refusal {
  readonly key: string;
  readonly value: unknown;
  readonly allowed: string;
}

function flatten(errors: readonly ValidationError[], parent = ''): Refusal[] {
  return errors.flatMap((error) => {
    const key = parent + error.property;
    const own = Object.values(error.constraints ?? {}).map((allowed) => ({
      key,
      value: error.value as unknown,
      allowed,
    }));
    return [...own, ...flatten(error.children ?? [], `${key}.`)];
  });
}

function describe({ key, value, allowed }: Refusal, sources: ReadonlyMap<string, string>): string {
  const isSecret = LEAVES.find((leaf) => leaf.key === key)?.info.isSecret === true;
  const shown = isSecret ? 'The value' : shorten(value === undefined ? 'nothing' : JSON.stringify(value));
  return `${key} (${sources.get(key) ?? 'default'}): ${shown} is not allowed; it must be ${allowed}.`;
}

function shorten(text: string): string {
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}
