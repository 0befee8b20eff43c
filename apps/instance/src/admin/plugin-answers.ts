import type { PluginHost, PluginState, ScanResult } from '@baton/coordination';
import type { Plugin, PluginList, PluginScanResult } from '../dto/admin/plugin-answers.js';

/** A plugin as operators see it. */
export function toPlugin(state: PluginState): Plugin {
  const { name, version, status, provides, directory, contentHash, loads, failures } = state;
  const { reason, fix, code, loadedAt } = state;
  return {
    ...{ name, version, status, provides: [...provides], directory, contentHash, loads, failures },
    ...(reason !== undefined && { reason }),
    ...(fix !== undefined && { fix }),
    ...(code !== undefined && { code }),
    ...(loadedAt ? { loadedAt } : {}),
  };
}

/** All that the host knows. */
export function toPluginList(host: Pick<PluginHost, 'imports' | 'list'>): PluginList {
  return { plugins: host.list().map(toPlugin), imports: host.imports };
}

/** What a scan came to. */
export function toScanResult({ loaded, replaced, refused, plugins }: ScanResult): PluginScanResult {
  return { loaded: [...loaded], replaced: [...replaced], refused: [...refused], plugins: plugins.map(toPlugin) };
}
