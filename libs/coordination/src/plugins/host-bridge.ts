import type { RemoteClient, RemotePool } from '@baton/remotes';
import { Inject, Injectable, Logger, Module, type DynamicModule, type Provider } from '@nestjs/common';
import {
  COORDINATION_OPTIONS,
  DECODE_POOL,
  PREFILL_CLIENT,
  PREFILL_POOL,
  REMOTE_CLIENT,
} from '../coordination.constants.js';
import type { CoordinationOptions } from '../coordination.options.js';
import { HandoffLedger } from '../ledger/handoff-ledger.js';
import { CoordinationObserver } from '../observer.js';
import { KvConnectors } from '../registry/kv-connectors.js';
import { LocalSite } from '../split/local-site.js';
import { Split } from '../split/split.js';
import { HandoffAddresses } from '../trust/handoff-addresses.js';
import { facadeOf } from './facade.js';
import { PLUGIN_LOGGER, PLUGIN_OPTIONS } from './plugin-api.js';

/** What the modules of a plugin can inject without importing anything. */
@Module({})
class HostBridgeModule {}

/** The services of the host that plugins get. */
@Injectable()
export class HostBridge {
  readonly #shared: readonly Provider[];

  constructor(
    split: Split,
    localSite: LocalSite,
    ledger: HandoffLedger,
    connectors: KvConnectors,
    addresses: HandoffAddresses,
    observer: CoordinationObserver,
    @Inject(PREFILL_POOL) prefillPool: RemotePool,
    @Inject(DECODE_POOL) decodePool: RemotePool,
    @Inject(PREFILL_CLIENT) prefillClient: RemoteClient,
    @Inject(REMOTE_CLIENT) client: RemoteClient,
    @Inject(COORDINATION_OPTIONS) options: CoordinationOptions,
  ) {
    this.#shared = [
      { provide: Split, useValue: facadeOf(split) },
      { provide: LocalSite, useValue: facadeOf(localSite) },
      { provide: HandoffLedger, useValue: facadeOf(ledger) },
      { provide: KvConnectors, useValue: facadeOf(connectors, ['swap', 'discover']) },
      { provide: HandoffAddresses, useValue: facadeOf(addresses) },
      { provide: CoordinationObserver, useValue: facadeOf(observer) },
      { provide: PREFILL_POOL, useValue: facadeOf(prefillPool) },
      { provide: DECODE_POOL, useValue: facadeOf(decodePool) },
      { provide: PREFILL_CLIENT, useValue: facadeOf(prefillClient, ['close']) },
      { provide: REMOTE_CLIENT, useValue: facadeOf(client, ['close']) },
      { provide: COORDINATION_OPTIONS, useValue: Object.freeze({ ...options }) },
    ];
  }

  /** The bridge for one plugin. */
  moduleFor(plugin: string, options: unknown): DynamicModule {
    const providers = [
      ...this.#shared,
      { provide: PLUGIN_OPTIONS, useValue: options },
      { provide: PLUGIN_LOGGER, useValue: new Logger(plugin) },
    ];
    const exports = providers.map((provider) => (typeof provider === 'function' ? provider : provider.provide));
    return { module: HostBridgeModule, global: true, providers, exports };
  }
}
