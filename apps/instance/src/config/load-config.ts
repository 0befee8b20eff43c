import { validateSync, type ValidationError } from 'class-validator';
import { ConfigError } from './config.error.js';
import { crossFaults, type Refusal } from './cross-faults.js';
import { notAllowed } from './fault.js';
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
  const refused = refusalsOf(config).map(
    ({ key, at, problem }) => `${key}${at} (${sources.get(key) ?? 'default'})${problem}.`,
  );
  if (unreadable.length + refused.length > 0) throw new ConfigError([...unreadable, ...refused]);
  return config;
}

function refusalsOf(config: InstanceConfig): Refusal[] {
  const own = flatten(validateSync(config));
  const refusedKeys = own.map(({ key }) => key);
  const cross = crossFaults(config).filter(({ key }) => !refusedKeys.includes(key));
  return [...own, ...cross];
}

function flatten(errors: readonly ValidationError[], parent = ''): Refusal[] {
  return errors.flatMap((error) => {
    const key = parent + error.property;
    const own = Object.values(error.constraints ?? {}).flatMap((allowed) => describe(key, error.value, allowed));
    return [...own, ...flatten(error.children ?? [], `${key}.`)];
  });
}

/** The faults inside the value of a setting, or else the value as a whole. */
function describe(key: string, value: unknown, allowed: string): Refusal[] {
  const info = LEAVES.find((leaf) => leaf.key === key)?.info;
  const faults = info?.faults(value) ?? [];
  if (faults.length > 0) return faults.map((fault) => ({ key, ...fault }));
  return [{ key, at: '', problem: notAllowed(info?.shown(value), allowed) }];
}
