import { InstanceProcess } from '../../support/instance-process.js';
import { recordsOf } from '../../misbehaviour/support/scene.js';
import { SimulatorProcess } from '../../support/simulator-process.js';
import { Canaries, Canary } from './canaries.js';

const PEER_KEY = 'key-of-the-gateway-0123456789';
/** The header lines by which a request comes from a trusted peer. */
export const AS_PEER = [`authorization: Bearer ${PEER_KEY}`];

/** An instance, and the engines that its requests may reach. */
export interface Target {
  readonly name: string;
  readonly instance: InstanceProcess;
  readonly engines: readonly SimulatorProcess[];
}

/**
 * A coordinator, an instance beside an engine, and one with an engine of its own and without coordination. All of them know a
 * peer by its key, and take callers without a key for clients. What the last two may dial for a peer is `allowed`.
 */
export class SsrfRig {
  private constructor(
    readonly canaries: Canaries,
    readonly allowed: Canary,
    readonly engines: { readonly prefill: SimulatorProcess; readonly decode: SimulatorProcess },
    readonly targets: { readonly coordinator: Target; readonly sidecar: Target; readonly embedded: Target },
  ) {}

  static async start(): Promise<SsrfRig> {
    const [canaries, allowed] = await Promise.all([Canaries.listen(), Canary.listen('127.0.0.9')]);
    const start = (role: string): Promise<SimulatorProcess> =>
      SimulatorProcess.start({ dialect: 'vllm', kv: 'nixl', role, 'kv-lease-ms': 5_000 });
    const [prefill, decode] = await Promise.all([start('prefill'), start('decode')]);
    const security = { BATON_SECURITY_KEYLESS: 'client', BATON_SECURITY_PEER_KEYS: `gateway:${PEER_KEY}` };
    const kv = { BATON_KV_PEERS: `127.0.0.1:${prefill.port('kvPort')},127.0.0.9:${allowed.port}` };
    const nixl = {
      BATON_COORDINATION_CONNECTOR: 'nixl',
      BATON_COORDINATION_PREFILL_DIALECT: 'vllm',
      BATON_COORDINATION_PREFILL_ENDPOINTS: prefill.url,
    };
    const [coordinator, sidecar, embedded] = await Promise.all([
      InstanceProcess.start({
        ...{ ...security, ...nixl, BATON_ENGINE_KIND: 'none' },
        BATON_COORDINATION_DECODE_DIALECT: 'vllm',
        BATON_COORDINATION_DECODE_ENDPOINTS: decode.url,
      }),
      InstanceProcess.start({
        ...{ ...security, ...nixl, ...kv, BATON_ENGINE_KIND: 'http', BATON_ENGINE_URL: decode.url },
        BATON_ENGINE_DIALECT: 'vllm',
      }),
      InstanceProcess.start({ ...security, ...kv, BATON_ENGINE_THREADS: '1', BATON_ENGINE_INSTANCES_ON_MACHINE: '2' }),
    ]);
    const engines = [prefill, decode];
    return new SsrfRig(
      canaries,
      allowed,
      { prefill, decode },
      {
        coordinator: { name: 'coordinator', instance: coordinator, engines },
        sidecar: { name: 'sidecar', instance: sidecar, engines },
        embedded: { name: 'embedded', instance: embedded, engines: [] },
      },
    );
  }

  async stop(): Promise<void> {
    const { prefill, decode } = this.engines;
    await Promise.all(Object.values(this.targets).map(({ instance }) => instance.stop()));
    await Promise.all([prefill, decode, this.canaries, this.allowed].map((each) => each.stop()));
  }

  /**
   * How many requests engines were sent since this was last asked, and what of them can only come from a forged request:
   * addresses of canaries, and routing headers.
   */
  async toldEngines(): Promise<{ readonly requests: number; readonly leaks: readonly string[] }> {
    const ports = this.canaries.all.map(({ port }) => port).join('|');
    const forged = new RegExp(`(?<![0-9a-f.-])(?:${ports})(?![0-9a-f-])|_addr_`, 'i');
    const engines = Object.values(this.engines);
    const records = (await Promise.all(engines.map(recordsOf))).flat();
    await Promise.all(engines.map((engine) => engine.forget()));
    const leaks = records.flatMap(({ body, headers }) => {
      const { host: _host, ...others } = headers;
      const names = Object.keys(others).filter((name) => ROUTING.test(name));
      return [
        ...(forged.test(JSON.stringify(body)) ? [`in a body: ${JSON.stringify(body)}`] : []),
        ...(names.length > 0 || forged.test(JSON.stringify(others)) ? [`in headers: ${JSON.stringify(others)}`] : []),
      ];
    });
    return { requests: records.length, leaks };
  }
}

const ROUTING = /prefill|encoder|kv-cache|host-port|gateway|forward|original|rewrite|rank|cookie|session|topology/;
