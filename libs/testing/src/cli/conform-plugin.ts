import { PluginHost, type PluginsOptions, type PluginState } from '@baton/coordination';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { isJsonObject } from '@baton/inference';
import { conformConnector } from '../conformance/connector/conform-connector.js';
import { conformManager } from '../conformance/manager/conform-manager.js';
import { conformPicker } from '../conformance/picker/conform-picker.js';
import type { ConformanceReport } from '../conformance/report.js';
import type { TestHostOptions } from '../host/test-host-options.js';
import { TestHost } from '../host/test-host.js';
import type { ConformanceSettings } from './settings.js';

/** The plugin cannot be loaded: the message says why, and what can be done. */
export class LoadError extends Error {}

/** What came of a plugin. */
export interface PluginConformance {
  readonly plugin: string;
  readonly version: string;
  readonly reports: readonly ConformanceReport[];
  /** What it provides for which there are no checks. */
  readonly unchecked: readonly string[];
}

/**
 * Loads the plugin in `directory` into hosts of doubles, as an application loads it, and checks what it provides.
 *
 * @throws LoadError
 */
export async function conformPlugin(
  directory: string,
  pluginOptions: unknown,
  settings: ConformanceSettings,
): Promise<PluginConformance> {
  const name = await nameIn(directory);
  const root = await mkdtemp(join(tmpdir(), 'baton-conformance-'));
  try {
    // Beside its neighbours it cannot be loaded alone.
    await cp(directory, join(root, 'plugins', basename(resolve(directory))), {
      recursive: true,
      verbatimSymlinks: true,
    });
    const plugins: PluginsOptions = {
      directories: [join(root, 'plugins')],
      stagingDirectory: root,
      ...(pluginOptions === undefined ? {} : { options: { [name]: pluginOptions } }),
    };
    const { provides, version } = await load(plugins);
    const reports: ConformanceReport[] = [];
    for (const provision of provides) {
      const report = await conform(provision, settings, plugins);
      if (report !== undefined) reports.push(report);
    }
    return { plugin: name, version, reports, unchecked: provides.filter((provision) => !isChecked(provision)) };
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** @returns what is known of the plugin once it is loaded. */
async function load(plugins: PluginsOptions): Promise<PluginState> {
  const host = await TestHost.make({ plugins });
  try {
    const [state] = host.get(PluginHost).list();
    if (state === undefined) throw new LoadError('The directory has no package.json with a plugin.');
    if (state.status === 'loaded') return state;
    throw new LoadError(
      `Plugin ${state.name}: ${state.reason ?? state.status}. ${state.fix ?? ''} [${state.code ?? ''}]`,
    );
  } finally {
    await host.close();
  }
}

const isChecked = (provision: string): boolean => /^(?:manager|connector|picker):/.test(provision);

async function conform(
  provision: string,
  settings: ConformanceSettings,
  plugins: PluginsOptions,
): Promise<ConformanceReport | undefined> {
  const at = provision.indexOf(':');
  const [kind, name] = [provision.slice(0, at), provision.slice(at + 1)];
  const hostOf = (host: TestHostOptions = {}): TestHostOptions => ({ ...host, plugins });
  if (kind === 'manager') {
    const options = settings.managers?.[name] ?? {};
    const create = (host: TestHost) => found(host.managers.table.get(name)?.manager, provision);
    return conformManager({ name, create }, { ...options, host: hostOf(options.host) });
  }
  if (kind === 'connector') {
    const options = settings.connectors?.[name] ?? {};
    const create = (host: TestHost) => {
      host.useConnector(name);
      return host.connector;
    };
    return conformConnector({ name, create }, { ...options, host: hostOf(options.host) });
  }
  if (kind === 'picker') {
    const options = settings.pickers?.[name] ?? {};
    const create = (host: TestHost) => {
      host.usePicker(name);
      return host.picker;
    };
    return conformPicker({ name, create }, { ...options, host: hostOf(options.host) });
  }
  return undefined;
}

function found<Instance>(instance: Instance | undefined, provision: string): Instance {
  if (instance !== undefined) return instance;
  throw new LoadError(`The plugin was loaded before, but now there is no ${provision}.`);
}

async function nameIn(directory: string): Promise<string> {
  const text = await readFile(join(directory, 'package.json'), 'utf8').catch(() => {
    throw new LoadError(`There is no ${join(directory, 'package.json')} that can be read.`);
  });
  try {
    const json: unknown = JSON.parse(text);
    const name = isJsonObject(json) ? json['name'] : undefined;
    return typeof name === 'string' ? name : basename(resolve(directory));
  } catch {
    throw new LoadError(`${join(directory, 'package.json')} is no JSON.`);
  }
}
