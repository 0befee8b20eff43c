import { isJsonObject, type JsonObject } from '@baton/inference';
import { satisfies, valid, validRange } from 'semver';
import { entryOf, type Refuse } from './manifest-entry.js';
import { PLUGIN_API_VERSION, PROVISION_KINDS, type ProvisionKind } from './plugin-api.js';
import { PluginError, type PluginErrorCode } from './plugin-error.js';

/** What a plugin's `package.json` says. */
export interface PluginManifest {
  readonly name: string;
  readonly version: string;
  /** Of its module: a path from its directory, with `/`. */
  readonly entry: string;
  /** What it says it brings: `manager:acme`. */
  readonly provides: readonly string[];
  readonly peers: readonly PluginPeer[];
}

/** A package that the plugin wants of its host. */
export interface PluginPeer {
  readonly name: string;
  /** Of versions. */
  readonly range: string;
  readonly isOptional: boolean;
}

/** What npm allows for a package's name. */
const NAME = /^(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/;
const MAX_NAME = 214;
const PROVISION = /^([a-z]+):([A-Za-z0-9][A-Za-z0-9._-]{0,63})$/;

/** The parts of `manager:acme`; undefined when it has another form. */
export function provisionOf(text: string): { readonly kind: ProvisionKind; readonly name: string } | undefined {
  const [, word, name] = PROVISION.exec(text) ?? [];
  const kind = PROVISION_KINDS.find((known) => known === word);
  return kind === undefined || name === undefined ? undefined : { kind, name };
}

/** The name in a `package.json`, when it is one that a package can have. */
export function nameIn(json: unknown): string | undefined {
  const name = isJsonObject(json) ? json['name'] : undefined;
  return typeof name === 'string' && name.length <= MAX_NAME && NAME.test(name) ? name : undefined;
}

/**
 * Reads a `package.json`, parsed. Nothing of the plugin has run.
 *
 * @param directoryName what it is called in errors when it has no name.
 * @throws PluginError 422 `plugin_invalid_manifest`, `plugin_api_version`, `plugin_engines`, `plugin_entry_outside`
 */
export function readManifest(json: unknown, directoryName: string): PluginManifest {
  const plugin = nameIn(json) ?? directoryName;
  const refuse = (reason: string, fix: string, code: PluginErrorCode = 'plugin_invalid_manifest'): never => {
    throw new PluginError({ plugin, code, reason, fix });
  };
  if (!isJsonObject(json)) return refuse('its package.json is no JSON object', 'Write one as docs/plugins.md has it.');
  if (nameIn(json) === undefined) {
    return refuse(
      '"name" in its package.json is not the name of a package',
      'Name it, in lower case and without spaces.',
    );
  }
  const { version } = json;
  if (typeof version !== 'string' || valid(version) === null) {
    return refuse('"version" in its package.json is no version', 'Give it one such as 1.0.0.');
  }
  const { baton } = json;
  if (!isJsonObject(baton)) {
    return refuse(
      'its package.json has no "baton" object',
      `Add "baton": { "apiVersion": "^${PLUGIN_API_VERSION}", "provides": ["manager:..."] }.`,
    );
  }
  const { apiVersion } = baton;
  if (typeof apiVersion !== 'string' || validRange(apiVersion) === null) {
    return refuse(
      '"baton.apiVersion" is no range of versions',
      `Write the range that it was made for: "^${PLUGIN_API_VERSION}".`,
    );
  }
  if (!satisfies(PLUGIN_API_VERSION, apiVersion)) {
    return refuse(
      `it was made for version ${apiVersion} of the plugin API, and this is ${PLUGIN_API_VERSION}`,
      'Take a version of the plugin that was made for this one, or another version of Baton.',
      'plugin_api_version',
    );
  }
  const node = isJsonObject(json['engines']) ? json['engines']['node'] : undefined;
  if (node !== undefined && (typeof node !== 'string' || validRange(node) === null)) {
    return refuse('"engines.node" is no range of versions', 'Write one such as ">=20.19".');
  }
  if (typeof node === 'string' && !satisfies(process.version, node, { includePrerelease: true })) {
    return refuse(
      `it needs Node ${node}, and this is ${process.version}`,
      'Run Baton on such a Node, or take a version of the plugin for this one.',
      'plugin_engines',
    );
  }
  return {
    name: plugin,
    version,
    entry: entryOf(json, refuse),
    provides: providesOf(baton['provides'], refuse),
    peers: peersOf(json, refuse),
  };
}

function providesOf(value: unknown, refuse: Refuse): readonly string[] {
  const fix = `List what it brings, each as ${PROVISION_KINDS.map((kind) => `"${kind}:<name>"`).join(' or ')}.`;
  if (!Array.isArray(value) || value.length === 0) return refuse('"baton.provides" is no list of what it brings', fix);
  const provides = value.map((item: unknown, index) => {
    if (typeof item === 'string' && provisionOf(item) !== undefined) return item;
    return refuse(`"baton.provides[${index}]" is not a kind and a name`, fix);
  });
  const twice = provides.find((item, index) => provides.indexOf(item) !== index);
  return twice === undefined ? provides : refuse(`"baton.provides" has ${twice} twice`, 'Name each once.');
}

function peersOf(json: JsonObject, refuse: Refuse): readonly PluginPeer[] {
  const { peerDependencies = {}, peerDependenciesMeta = {} } = json;
  if (!isJsonObject(peerDependencies)) {
    return refuse('"peerDependencies" is no object', 'Write names and ranges of versions in it.');
  }
  return Object.entries(peerDependencies).map(([name, range]) => {
    if (!NAME.test(name) || typeof range !== 'string' || validRange(range) === null) {
      return refuse(`"peerDependencies" of ${name} is no range of versions`, 'Write one such as "^12.0.0".');
    }
    const meta = isJsonObject(peerDependenciesMeta) ? peerDependenciesMeta[name] : undefined;
    return { name, range, isOptional: isJsonObject(meta) && meta['optional'] === true };
  });
}
