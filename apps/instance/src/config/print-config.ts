import { stringify } from 'yaml';
import type { InstanceConfig } from './instance-config.js';
import { LEAVES, valueAt } from './leaves.js';

/** The configuration as YAML that `--config` reads; secrets are replaced. */
export function printConfig(config: InstanceConfig): string {
  return stringify(shownConfig(config));
}

/** What may be shown of the configuration, in sections: everything but secrets, which are replaced. */
export function shownConfig(config: InstanceConfig): ReadonlyMap<string, unknown> {
  const root = new Map<string, unknown>();
  for (const { path, info } of LEAVES) {
    sectionAt(root, path.slice(0, -1)).set(path.at(-1) ?? '', info.shown(valueAt(config, path)));
  }
  return root;
}

function sectionAt(root: Map<string, unknown>, path: readonly string[]): Map<string, unknown> {
  return path.reduce((section, name) => {
    const found = section.get(name);
    if (found instanceof Map) return found as Map<string, unknown>;
    const made = new Map<string, unknown>();
    section.set(name, made);
    return made;
  }, root);
}
