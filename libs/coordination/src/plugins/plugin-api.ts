import type { LoggerService } from '@nestjs/common';

/** The version of what plugins are offered: `baton.apiVersion` of a plugin's `package.json` is a range that it must be in. */
export const PLUGIN_API_VERSION = '1.0.0';

/** The options of a plugin, checked: what its `pluginOptions` made of `plugins.<name>`; an empty object when it has none. */
export const PLUGIN_OPTIONS = Symbol.for('baton/plugin-options');

/** A {@link PluginLogger} that says which plugin speaks. */
export const PLUGIN_LOGGER = Symbol.for('baton/plugin-logger');

/** What is injected for {@link PLUGIN_LOGGER}: the log of the application. Never log prompts, tokens or keys. */
export type PluginLogger = Required<Pick<LoggerService, 'log' | 'error' | 'warn' | 'debug'>>;

/** What a plugin can bring. */
export const PROVISION_KINDS = ['manager', 'connector', 'picker', 'dialect'] as const;

/** A kind of what a plugin can bring. */
export type ProvisionKind = (typeof PROVISION_KINDS)[number];

/** Something that a plugin brings may look, before it is put to use, whether it works. */
export interface PluginProbe {
  /** Called once, when the plugin is ready. What it throws, or not ending in time, refuses the plugin. */
  probe(): void | Promise<void>;
}
