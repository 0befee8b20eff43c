import { parseEndpoint, RemoteClient, RemotePool, StaticEndpointPicker } from '@baton/remotes';
import {
  ConfigurableModuleBuilder,
  Inject,
  Module,
  type ModuleMetadata,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { EmbeddedKvConnector } from './connectors/embedded.connector.js';
import { COORDINATION_OPTIONS, DECODE_POOL, REMOTE_CLIENT } from './coordination.constants.js';
import type { CoordinationOptions } from './coordination.options.js';
import { Dispatcher } from './dispatch/dispatcher.js';
import { AnswerRenderer } from './http/answer-renderer.js';
import { InFlight } from './http/in-flight.js';
import { RequestCheck } from './http/request-check.js';
import { HandoffLedger } from './ledger/handoff-ledger.js';
import { PrefillLocalDecodeRemoteManager } from './managers/prefill-local-decode-remote.manager.js';
import { CoordinationObserver } from './observer.js';
import { EndpointPickers } from './registry/endpoint-pickers.js';
import { KvConnectors } from './registry/kv-connectors.js';
import { ManagerRegistry } from './registry/manager-registry.js';

/** What an application adds to the module besides the options. */
interface CoordinationExtras {
  /** Replacements (`{ provide: RequestCheck, useClass: ... }`) and managers, connectors or pickers of your own. */
  readonly providers?: NonNullable<ModuleMetadata['providers']>;
  /** Modules whose exports those providers need. */
  readonly imports?: NonNullable<ModuleMetadata['imports']>;
}

const { ConfigurableModuleClass } = new ConfigurableModuleBuilder<CoordinationOptions>({
  optionsInjectionToken: COORDINATION_OPTIONS,
})
  .setClassMethodName('forRoot')
  .setExtras<CoordinationExtras>({}, (definition, { providers = [], imports = [] }) => ({
    ...definition,
    global: true,
    imports: [...(definition.imports ?? []), ...imports],
    providers: [...(definition.providers ?? []), ...providers],
  }))
  .build();

/**
 * Disaggregated serving for a Nest application: `CoordinationModule.forRoot({ connector: 'embedded', decode: {
 * endpoints: ['http://10.0.0.7:8200'] } })`, and `@Disaggregated()` on a controller. Global, since interceptors are
 * resolved in the controller's module.
 */
@Module({
  imports: [DiscoveryModule],
  providers: [
    AnswerRenderer,
    CoordinationObserver,
    Dispatcher,
    EmbeddedKvConnector,
    EndpointPickers,
    HandoffLedger,
    InFlight,
    KvConnectors,
    ManagerRegistry,
    PrefillLocalDecodeRemoteManager,
    RequestCheck,
    StaticEndpointPicker,
    {
      provide: REMOTE_CLIENT,
      inject: [COORDINATION_OPTIONS],
      useFactory: (options: CoordinationOptions) => new RemoteClient(options.decode),
    },
    {
      provide: DECODE_POOL,
      inject: [COORDINATION_OPTIONS, REMOTE_CLIENT, EndpointPickers],
      useFactory: (options: CoordinationOptions, client: RemoteClient, pickers: EndpointPickers) =>
        new RemotePool((options.decode?.endpoints ?? []).map(parseEndpoint), client, () => pickers.active),
    },
  ],
  exports: [
    AnswerRenderer,
    CoordinationObserver,
    DECODE_POOL,
    Dispatcher,
    HandoffLedger,
    InFlight,
    KvConnectors,
    ManagerRegistry,
    REMOTE_CLIENT,
    RequestCheck,
  ],
})
export class CoordinationModule extends ConfigurableModuleClass implements OnApplicationShutdown {
  constructor(@Inject(REMOTE_CLIENT) private readonly client: RemoteClient) {
    super();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.client.close();
  }
}
