import {
  COORDINATION_OPTIONS,
  CoordinationModule,
  CoordinationObserver,
  DECODE_POOL,
  EndpointPickers,
  HandoffLedger,
  KvConnectors,
  ManagerRegistry,
  PLUGIN_LOGGER,
  PLUGIN_OPTIONS,
  PluginsModule,
  PREFILL_CLIENT,
  PREFILL_POOL,
  REMOTE_CLIENT,
  Split,
  type CoordinationOptions,
  type KvConnector,
} from '@baton/coordination';
import type { EndpointPicker } from '@baton/remotes';
import {
  Logger,
  Module,
  type DynamicModule,
  type INestApplicationContext,
  type ModuleMetadata,
  type Type,
} from '@nestjs/common';
import { ModuleRef, NestFactory } from '@nestjs/core';
import { FakeEngines } from '../doubles/fake-engines.js';
import { fakeLocalExecution, type FakeLocalExecution } from '../doubles/fake-local-execution.js';
import { FakeRemoteClient, FakeRemotes } from '../doubles/fake-remotes.js';
import { HandoffProbe, RecordingObserver } from '../doubles/handoff-probe.js';
import type { TestHostOptions } from './test-host-options.js';
import { coordinationOptions, endpointsOf, FirstConnector } from './host-parts.js';

/** The root of the application: what it has is imported. */
@Module({})
class HostModule {}

/**
 * An application of the real coordination module (split, ledger, registries, limits of pools) whose instances are doubles: no
 * socket is opened and no port is listened on.
 */
export class TestHost {
  /** This instance, as managers get it. */
  readonly local: FakeLocalExecution;
  readonly handoffs: HandoffProbe;
  readonly split: Split;
  readonly ledger: HandoffLedger;
  readonly managers: ManagerRegistry;

  private constructor(
    private readonly context: INestApplicationContext,
    /** What runs behind this instance and behind the pools. */
    readonly engines: FakeEngines,
    readonly prefill: FakeRemotes,
    readonly decode: FakeRemotes,
    /** The clients to both pools, for calls that are no legs. */
    readonly clients: readonly FakeRemoteClient[],
    readonly observer: RecordingObserver,
  ) {
    this.split = context.get(Split);
    this.ledger = context.get(HandoffLedger);
    this.managers = context.get(ManagerRegistry);
    this.local = fakeLocalExecution({ engines });
    this.handoffs = new HandoffProbe(this.ledger, engines, observer);
  }

  /** The log of the process has only errors from then on. @throws Error of a module of the options. */
  static async make(options: TestHostOptions = {}): Promise<TestHost> {
    const engines = new FakeEngines();
    const observer = new RecordingObserver();
    const [toPrefill, toDecode] = [new FakeRemoteClient('prefill', engines), new FakeRemoteClient('decode', engines)];
    const picker: { current: () => EndpointPicker } = { current: notYet };
    const pool = (role: 'prefill' | 'decode', client: FakeRemoteClient): FakeRemotes =>
      new FakeRemotes(role, { endpoints: endpointsOf(options, role), engines, client, picker: () => picker.current() });
    const [prefill, decode] = [pool('prefill', toPrefill), pool('decode', toDecode)];
    const doubles: ModuleMetadata['providers'] = [
      { provide: CoordinationObserver, useValue: observer },
      { provide: PREFILL_CLIENT, useValue: toPrefill },
      { provide: REMOTE_CLIENT, useValue: toDecode },
      { provide: PREFILL_POOL, useValue: prefill },
      { provide: DECODE_POOL, useValue: decode },
      { provide: PLUGIN_OPTIONS, useValue: options.pluginOptions ?? {} },
      { provide: PLUGIN_LOGGER, useValue: new Logger('plugin') },
      // Before the application is ready: it does not start without the connector that it is configured with.
      {
        provide: FirstConnector,
        inject: [KvConnectors, ModuleRef],
        useFactory: (connectors: KvConnectors, moduleRef: ModuleRef) =>
          new FirstConnector(connectors, moduleRef, engines),
      },
    ];
    const coordination = CoordinationModule.forRoot({
      ...coordinationOptions(options),
      providers: [...doubles, ...(options.providers ?? [])],
      imports: options.imports ?? [],
    });
    const plugins = options.plugins === undefined ? [] : [PluginsModule.forRoot(options.plugins)];
    const root: DynamicModule = { module: HostModule, imports: [coordination, ...plugins] };
    const context = await NestFactory.createApplicationContext(root, {
      abortOnError: false,
      logger: ['error', 'fatal'],
    });
    const pickers = context.get(EndpointPickers);
    picker.current = () => pickers.active;
    for (const client of [toPrefill, toDecode]) client.answerCall = options.calls ?? client.answerCall;
    return new TestHost(context, engines, prefill, decode, [toPrefill, toDecode], observer);
  }

  /** What is provided in the application for `token`. @throws Error when nothing is. */
  get<Instance extends object>(token: Type<Instance> | symbol | string): Instance {
    return this.context.get<Instance>(token, { strict: false });
  }

  /** Makes a class with what it injects. */
  async create<Instance extends object>(type: Type<Instance>): Promise<Instance> {
    return this.context.get(FirstConnector, { strict: false }).moduleRef.create(type);
  }

  /** Has requests split by `connector`, or by the one that is registered under `name`. */
  useConnector(name: string, connector?: KvConnector): void {
    const connectors = this.context.get(KvConnectors);
    if (connector !== undefined) connectors.swap({ remove: [name], add: [{ name, instance: connector }] });
    this.#configure({ connector: name });
  }

  /** The connector that requests are split by. */
  get connector(): KvConnector {
    return this.context.get(KvConnectors).active;
  }

  /** Has endpoints chosen by `picker`, or by the one that is registered under `name`. */
  usePicker(name: string, picker?: EndpointPicker): void {
    const pickers = this.context.get(EndpointPickers);
    if (picker !== undefined) pickers.swap({ remove: [name], add: [{ name, instance: picker }] });
    this.#configure({ picker: name });
  }

  /** The picker that endpoints are chosen by. */
  get picker(): EndpointPicker {
    return this.context.get(EndpointPickers).active;
  }

  /** What is open: legs that run, picks that wait or are held, calls, and KV. Empty when everything was given back. */
  get open(): readonly string[] {
    const { owed, stranded } = this.handoffs.state;
    return [
      ...this.engines.log.running.map(
        ({ side, at }) => `a leg that runs ${side === 'local' ? 'on this instance' : `on ${at}`}`,
      ),
      ...[this.prefill, this.decode].flatMap(({ role, open }) =>
        open === 0 ? [] : [`${open} pick(s) of the ${role} pool`],
      ),
      ...this.clients.flatMap(({ calls }) =>
        calls.flatMap(({ state, request }) =>
          state === 'running' ? [`the call ${request.method} ${request.path}`] : [],
        ),
      ),
      ...(owed === 0 ? [] : [`${owed} handoff(s) that the ledger owes`]),
      ...stranded.map(() => 'KV that nobody frees'),
    ];
  }

  /** Ends the application. Under virtual time, time has to pass meanwhile when something is open. */
  async close(): Promise<void> {
    await this.context.close();
  }

  #configure(change: CoordinationOptions): void {
    Object.assign(this.context.get<object>(COORDINATION_OPTIONS), change);
  }
}

function notYet(): never {
  throw new Error('The host is not ready.');
}
