import { isJsonObject } from '@baton/inference';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { satisfies } from 'semver';
import type { PluginManifest } from './manifest.js';
import { PluginError } from './plugin-error.js';

/**
 * Packages of which one process must have one copy: a class of another copy is another class, so that nothing can be injected
 * by it, and its errors are none of the host's.
 */
const ONE_COPY = /^(?:@baton\/[^/]+|@nestjs\/[^/]+|rxjs|reflect-metadata|class-validator|class-transformer)$/;

/** Whether a plugin must not bring a copy of the package. */
export const isHostPackage = (name: string): boolean => ONE_COPY.test(name);

/** A package that the host has. */
interface HostPackage {
  /** With all links followed, as the host's own imports have it. */
  readonly directory: string;
  readonly version: string;
}

/** A copy of the host for a plugin: where, and under which name. */
export interface PeerLink {
  readonly name: string;
  readonly directory: string;
}

/**
 * Where the host's copies are that the plugin wants.
 *
 * @throws PluginError 422 `plugin_missing_peer`, `plugin_peer_version`
 */
export function peerLinks({ name: plugin, peers }: PluginManifest): readonly PeerLink[] {
  return peers.flatMap(({ name, range, isOptional }) => {
    const found = hostPackage(name);
    if (found === undefined) {
      if (isOptional) return [];
      throw new PluginError({
        plugin,
        code: 'plugin_missing_peer',
        reason: `it wants ${name} of its host, which has none`,
        fix: `Install ${name} beside Baton, or make it a dependency that the plugin brings in its node_modules.`,
      });
    }
    if (!satisfies(found.version, range, { includePrerelease: true })) {
      throw new PluginError({
        plugin,
        code: 'plugin_peer_version',
        reason: `it wants ${name} ${range} of its host, which has ${found.version}`,
        fix: `Take a version of the plugin for ${name} ${found.version}.`,
      });
    }
    return [{ name, directory: found.directory }];
  });
}

/** As this file would import it, or else the script that was started. */
function hostPackage(name: string): HostPackage | undefined {
  const bases = [import.meta.url, ...(process.argv[1] === undefined ? [] : [pathToFileURL(process.argv[1]).href])];
  const directory = bases
    .flatMap((base) => createRequire(base).resolve.paths(name) ?? [])
    .map((folder) => join(folder, name))
    .find((candidate) => existsSync(join(candidate, 'package.json')));
  if (directory === undefined) return undefined;
  const json: unknown = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
  const version = isJsonObject(json) && typeof json['version'] === 'string' ? json['version'] : '0.0.0';
  return { directory: realpathSync(directory), version };
}
