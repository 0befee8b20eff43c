import type { CoordinationOptions, PluginsOptions } from '@baton/coordination';
import type { EndpointOptions } from '@baton/remotes';
import type { ModuleMetadata } from '@nestjs/common';
import type { CallAnswer } from '../doubles/fake-remotes.js';

/** What a `TestHost` is made with. Everything is optional. */
export interface TestHostOptions {
  /** Whether this instance runs legs. Default true. */
  readonly isLocalAvailable?: boolean;
  /** The instances of the pools. Default two each, with addresses for KV. */
  readonly prefill?: readonly EndpointOptions[];
  readonly decode?: readonly EndpointOptions[];
  /** Of the application. Pools and this instance are said above. */
  readonly coordination?: Omit<CoordinationOptions, 'connector' | 'prefill' | 'decode'>;
  /** The options of a plugin, as its `pluginOptions` would have made them: injected for `PLUGIN_OPTIONS`. Default none. */
  readonly pluginOptions?: unknown;
  /** What the subject injects besides. */
  readonly providers?: NonNullable<ModuleMetadata['providers']>;
  readonly imports?: NonNullable<ModuleMetadata['imports']>;
  /** How calls are answered that are no legs: to side channels, and questions to engines. Default: an empty object. */
  readonly calls?: CallAnswer;
  /** Plugins that are loaded as in an application. */
  readonly plugins?: PluginsOptions;
}
