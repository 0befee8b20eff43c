import { poolEndpoints, RemoteClient, RemotePool, StaticEndpointPicker } from '@baton/remotes';
import {
  ConfigurableModuleBuilder,
  Inject,
  Module,
  type ModuleMetadata,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import * as connectors from './connectors/in-tree.js';
import {
  COORDINATION_OPTIONS,
  DECODE_POOL,
  PREFILL_CLIENT,
  PREFILL_POOL,
  REMOTE_CLIENT,
} from './coordination.constants.js';
import { DEFAULT_PREFILL_TIMEOUT_MS, type CoordinationOptions, type PoolOptions } from './coordination.options.js';
import { Dispatcher } from './dispatch/dispatcher.js';
import { AnswerRenderer } from './http/answer-renderer.js';
import { Callers } from './http/callers.js';
import { InFlight } from './http/in-flight.js';
import { RequestCheck } from './http/request-check.js';
import { HandoffLedger } from './ledger/handoff-ledger.js';
import { DecodeLocalPrefillRemoteManager } from './managers/decode-local-prefill-remote.manager.js';
import { LocalManager } from './managers/local.manager.js';
import { PrefillLocalDecodeRemoteManager } from './managers/prefill-local-decode-remote.manager.js';
import { PrefillRemoteDecodeRemoteManager } from './managers/prefill-remote-decode-remote.manager.js';
import { RemoteManager } from './managers/remote.manager.js';
import { CoordinationObserver } from './observer.js';
import { EndpointPickers } from './registry/endpoint-pickers.js';
import { KvConnectors } from './registry/kv-connectors.js';
import { ManagerRegistry } from './registry/manager-registry.js';
import { LocalSite } from './split/local-site.js';
import { Split } from './split/split.js';

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

const MANAGERS = [
  DecodeLocalPrefillRemoteManager,
  LocalManager,
  PrefillLocalDecodeRemoteManager,
  PrefillRemoteDecodeRemoteManager,
  RemoteManager,
];

function poolOf(options: PoolOptions | undefined, client: RemoteClient, pickers: EndpointPickers): RemotePool {
  return new RemotePool(poolEndpoints(options?.endpoints ?? [], options?.dialect), client, () => pickers.active);
}

/**
 * Disaggregated serving for a Nest application: `CoordinationModule.forRoot({ connector: 'embedded', decode: {
 * endpoints: ['http://10.0.0.7:8200'] } })`, and `@Disaggregated()` on a controller. Global, since interceptors are
 * resolved in the controller's module.
 */
@Module({
  imports: [DiscoveryModule],
  providers: [
    ...Object.values(connectors),
    ...MANAGERS,
    AnswerRenderer,
    Callers,
    CoordinationObserver,
    Dispatcher,
    EndpointPickers,
    HandoffLedger,
    InFlight,
    KvConnectors,
    LocalSite,
    ManagerRegistry,
    RequestCheck,
    Split,
    StaticEndpointPicker,
    {
      provide: PREFILL_CLIENT,
      inject: [COORDINATION_OPTIONS],
      // Whatever is sent there is a prefill: its whole answer comes when its head does.
      useFactory: ({ prefill }: CoordinationOptions) =>
        new RemoteClient({ ...prefill, answerTimeoutMs: prefill?.headTimeoutMs ?? DEFAULT_PREFILL_TIMEOUT_MS }),
    },
    {
      provide: REMOTE_CLIENT,
      inject: [COORDINATION_OPTIONS],
      useFactory: (options: CoordinationOptions) => new RemoteClient(options.decode),
    },
    {
      provide: PREFILL_POOL,
      inject: [COORDINATION_OPTIONS, PREFILL_CLIENT, EndpointPickers],
      useFactory: ({ prefill }: CoordinationOptions, client: RemoteClient, pickers: EndpointPickers) =>
        poolOf(prefill, client, pickers),
    },
    {
      provide: DECODE_POOL,
      inject: [COORDINATION_OPTIONS, REMOTE_CLIENT, EndpointPickers],
      useFactory: ({ decode }: CoordinationOptions, client: RemoteClient, pickers: EndpointPickers) =>
        poolOf(decode, client, pickers),
    },
  ],
  exports: [
    AnswerRenderer,
    COORDINATION_OPTIONS,
    Callers,
    CoordinationObserver,
    DECODE_POOL,
    Dispatcher,
    HandoffLedger,
    InFlight,
    KvConnectors,
    LocalSite,
    ManagerRegistry,
    PREFILL_POOL,
    REMOTE_CLIENT,
    RequestCheck,
    Split,
  ],
})
export class CoordinationModule extends ConfigurableModuleClass implements OnApplicationShutdown {
  constructor(
    @Inject(PREFILL_CLIENT) private readonly prefillClient: RemoteClient,
    @Inject(REMOTE_CLIENT) private readonly client: RemoteClient,
  ) {
    super();
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([this.prefillClient.close(), this.client.close()]);
  }
}
