import type { PluginsOptions } from '@baton/coordination';
import type { InstanceConfig } from '../config/instance-config.js';

/** What the plugin host needs to know of the configuration. */
export function pluginsOptions({ pluginDirectories, plugins, pluginHost }: InstanceConfig): PluginsOptions {
  const { lock, stagingDirectory, ...rest } = pluginHost;
  return {
    ...rest,
    directories: pluginDirectories,
    options: plugins,
    ...(Object.keys(lock).length > 0 ? { lock } : {}),
    ...(stagingDirectory === '' ? {} : { stagingDirectory }),
  };
}
