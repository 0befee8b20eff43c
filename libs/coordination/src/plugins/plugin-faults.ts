import { PluginError } from './plugin-error.js';
import { saidBy } from './within.js';

/** Something that a plugin did wrong while it ran. */
export function pluginFailed(plugin: string, what: string, fix: string, cause: unknown): PluginError {
  return new PluginError({ plugin, code: 'plugin_failed', reason: `${what} (${saidBy(cause)})`, fix, cause });
}

/** Any failure of an operation as one of its plugin. */
export function asPluginError(plugin: string, error: unknown): PluginError {
  if (error instanceof PluginError) return error;
  return pluginFailed(plugin, 'something went wrong that is not its fault', 'See the log of Baton.', error);
}

export function notFound(plugin: string, reason: string, fix: string): PluginError {
  return new PluginError({ plugin, code: 'plugin_not_found', reason, fix });
}

/** Of all plugins that could not be loaded when none may be missing. */
export function cannotStart(errors: readonly PluginError[]): Error {
  const list = errors.map(({ message }) => `- ${message}`).join('\n');
  return new Error(`Plugins could not be loaded:\n${list}`);
}
