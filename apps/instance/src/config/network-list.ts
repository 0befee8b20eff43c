import { readNetwork } from '@baton/remotes';
import { Setting } from './setting.js';

/** A list of networks. */
export function NetworkList(description: string): PropertyDecorator {
  return Setting(
    { description, allowed: 'a list of networks such as 10.0.0.0/8 or fd00::/8, each once' },
    (value) =>
      Array.isArray(value) &&
      value.every((item: unknown) => typeof item === 'string' && readNetwork(item) !== undefined) &&
      new Set(value).size === value.length,
  );
}
