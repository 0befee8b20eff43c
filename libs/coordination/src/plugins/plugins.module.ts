import { ConfigurableModuleBuilder, Module } from '@nestjs/common';
import { Drain } from './drain.js';
import { FailureWatch } from './failure-watch.js';
import { Generations } from './generations.js';
import { HostBridge } from './host-bridge.js';
import { PluginImporter } from './import-plugin.js';
import { PluginBook } from './plugin-book.js';
import { PluginHost } from './plugin-host.js';
import { PluginLoader } from './plugin-loader.js';
import { PLUGINS_OPTIONS, type PluginsOptions } from './plugins-options.js';
import { ProvisionSwap } from './provision-swap.js';
import { StrayWatch } from './stray-watch.js';

const { ConfigurableModuleClass } = new ConfigurableModuleBuilder<PluginsOptions>({
  optionsInjectionToken: PLUGINS_OPTIONS,
})
  .setClassMethodName('forRoot')
  .setExtras({}, (definition) => ({ ...definition, global: true }))
  .build();

/**
 * Plugins from directories: `PluginsModule.forRoot({ directories: ['plugins'] })`, beside `CoordinationModule`, which it
 * puts them into. Global, so that controllers of an application can ask the {@link PluginHost}.
 */
@Module({
  providers: [
    Drain,
    FailureWatch,
    Generations,
    HostBridge,
    PluginBook,
    PluginHost,
    PluginImporter,
    PluginLoader,
    ProvisionSwap,
    StrayWatch,
  ],
  exports: [PluginHost],
})
export class PluginsModule extends ConfigurableModuleClass {}
