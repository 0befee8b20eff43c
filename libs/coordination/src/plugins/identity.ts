import { isJsonObject } from '@baton/inference';
import { valid } from 'semver';
import type { PluginCandidate } from './find-plugins.js';
import { provisionOf, type PluginManifest } from './manifest.js';
import type { PluginIdentity } from './plugin-book.js';

/** What can be said of a plugin whose manifest may be wrong. */
export function identityOfCandidate({ name, directory, json }: PluginCandidate): Omit<PluginIdentity, 'contentHash'> {
  const { version, baton } = isJsonObject(json) ? json : {};
  const provides = isJsonObject(baton) && Array.isArray(baton['provides']) ? baton['provides'] : [];
  return {
    name,
    directory,
    version: typeof version === 'string' && valid(version) !== null ? version : '',
    provides: provides.filter(
      (text: unknown): text is string => typeof text === 'string' && provisionOf(text) !== undefined,
    ),
  };
}

/** What can be said of a plugin whose manifest is in order. */
export function identityOf(
  { name, version, provides }: PluginManifest,
  directory: string,
  contentHash: string,
): PluginIdentity {
  return { name, version, provides, directory, contentHash };
}
