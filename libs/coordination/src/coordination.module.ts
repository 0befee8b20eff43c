import { configuredHosts, poolEndpoints, RemoteClient, RemotePool, StaticEndpointPicker } from '@baton/remotes';
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
import { DispatchCounters } from './dispatch/dispatch-counters.js';
import { Dispatcher } from './dispatch/dispatcher.js';
import { Explainer } from './explain/explainer.js';
import { RequestRecords } from './explain/request-records.js';
import { Admission } from './http/admission.js';
import { AnswerRenderer } from './http/answer-renderer.js';
import { Callers } from './http/callers.js';
import { InFlight } from './http/in-flight.js';
import { LoadShedding } from './http/load-shedding.js';
import { RequestCheck } from './http/request-check.js';
import { HandoffLedger } from './ledger/handoff-ledger.js';
import { DecodeLocalPrefillRemoteManager } from './managers/decode-local-prefill-remote.manager.js';
import { LocalManager } from './managers/local.manager.js';
import { PrefillLocalDecodeRemoteManager } from './managers/prefill-local-decode-remote.manager.js';
import { PrefillRemoteDecodeRemoteManager } from './managers/prefill-remote-decode-remote.manager.js';
import { RemoteManager } from './managers/remote.manager.js';
import { CoordinationObserver } from './observer.js';
import { FilePolicyState } from './policy/file-policy-state.js';
import { MemoryPolicyState } from './policy/memory-policy-state.js';
import { PolicyControl } from './policy/policy-control.js';
import { PolicyState } from './policy/policy-state.js';
import { EndpointPickers } from './registry/endpoint-pickers.js';
import { EngineDialects } from './registry/engine-dialects.js';
import { KvConnectors } from './registry/kv-connectors.js';
import { ManagerRegistry } from './registry/manager-registry.js';
import { LocalSite } from './split/local-site.js';
import { Split } from './split/split.js';
import { HandoffAddresses } from './trust/handoff-addresses.js';

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

/** What the pools of both roles are made with. */
const POOL_PARTS = [EndpointPickers, CoordinationObserver];

function poolOf(
  name: string,
  options: PoolOptions | undefined,
  client: RemoteClient,
  pickers: EndpointPickers,
  observer: CoordinationObserver,
): RemotePool {
  return new RemotePool(poolEndpoints(options?.endpoints ?? [], options?.dialect), client, () => pickers.active, {
    ...options,
    name,
    onAttempt: (endpoint, result) => observer.attempted(endpoint.name, result),
  });
}

/** Every host that the configuration names: what it names literally may be dialled whatever it is. */
function namedHosts({ prefill, decode, kvPeers = [] }: CoordinationOptions): readonly string[] {
  const endpoints = poolEndpoints([...(prefill?.endpoints ?? []), ...(decode?.endpoints ?? [])]);
  return [...configuredHosts(endpoints), ...kvPeers.map((peer) => peer.slice(0, peer.lastIndexOf(':')))];
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
    Admission,
    AnswerRenderer,
    Callers,
    CoordinationObserver,
    DispatchCounters,
    Dispatcher,
    EndpointPickers,
    EngineDialects,
    Explainer,
    HandoffAddresses,
    HandoffLedger,
    InFlight,
    KvConnectors,
    LoadShedding,
    LocalSite,
    ManagerRegistry,
    PolicyControl,
    RequestCheck,
    RequestRecords,
    Split,
    StaticEndpointPicker,
    {
      provide: PolicyState,
      inject: [COORDINATION_OPTIONS],
      useFactory: ({ policyState }: CoordinationOptions) =>
        policyState?.kind === 'file'
          ? new FilePolicyState(policyState.directory, policyState)
          : new MemoryPolicyState(),
    },
    {
      provide: PREFILL_CLIENT,
      inject: [COORDINATION_OPTIONS],
      // Whatever is sent there is a prefill: its whole answer comes when its head does.
      useFactory: (options: CoordinationOptions) =>
        new RemoteClient({
          ...options.prefill,
          answerTimeoutMs: options.prefill?.headTimeoutMs ?? DEFAULT_PREFILL_TIMEOUT_MS,
          configuredHosts: namedHosts(options),
        }),
    },
    {
      provide: REMOTE_CLIENT,
      inject: [COORDINATION_OPTIONS],
      useFactory: (options: CoordinationOptions) =>
        new RemoteClient({ ...options.decode, configuredHosts: namedHosts(options) }),
    },
    {
      provide: PREFILL_POOL,
      inject: [COORDINATION_OPTIONS, PREFILL_CLIENT, ...POOL_PARTS],
      useFactory: ({ prefill }: CoordinationOptions, ...parts: [RemoteClient, EndpointPickers, CoordinationObserver]) =>
        poolOf('prefill', prefill, ...parts),
    },
    {
      provide: DECODE_POOL,
      inject: [COORDINATION_OPTIONS, REMOTE_CLIENT, ...POOL_PARTS],
      useFactory: ({ decode }: CoordinationOptions, ...parts: [RemoteClient, EndpointPickers, CoordinationObserver]) =>
        poolOf('decode', decode, ...parts),
    },
  ],
  exports: [
    Admission,
    AnswerRenderer,
    COORDINATION_OPTIONS,
    Callers,
    CoordinationObserver,
    DECODE_POOL,
    DispatchCounters,
    Dispatcher,
    EndpointPickers,
    EngineDialects,
    Explainer,
    HandoffAddresses,
    HandoffLedger,
    InFlight,
    KvConnectors,
    LocalSite,
    ManagerRegistry,
    PREFILL_CLIENT,
    PREFILL_POOL,
    PolicyControl,
    PolicyState,
    REMOTE_CLIENT,
    RequestCheck,
    RequestRecords,
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
