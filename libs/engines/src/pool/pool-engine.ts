import { InferenceError, type JsonObject, type ResponsePart } from '@baton/inference';
import {
  configuredHosts,
  RemoteClient,
  RemoteUnavailableError,
  type Endpoint,
  type RemoteClientOptions,
} from '@baton/remotes';
import { throwError, type Observable } from 'rxjs';
import type { Engine, EngineHealth, EngineMetric, ModelCard, TextApi } from '../engine.js';
import { EngineServer } from '../http/engine-server.js';

/** Options of a {@link PoolEngine}. */
export interface PoolEngineOptions extends RemoteClientOptions {
  readonly prefill: readonly Endpoint[];
  readonly decode: readonly Endpoint[];
}

type PoolName = 'prefill' | 'decode';

/** For one health check. All servers are asked at once. */
const HEALTH_TIMEOUT_MS = 1_500;

/**
 * No engine beside this instance: every leg runs on a remote one. What is not a leg is asked of the pools: tokens of
 * the servers that prefill, models and texts of those that decode; the next one is asked when one fails.
 */
export class PoolEngine implements Engine {
  readonly connectors: readonly string[] = [];
  readonly #client: RemoteClient;
  readonly #pools: Readonly<Record<PoolName, readonly EngineServer[]>>;

  constructor({ prefill, decode, ...client }: PoolEngineOptions) {
    this.#client = new RemoteClient({ ...client, configuredHosts: configuredHosts([...prefill, ...decode]) });
    const server = (endpoint: Endpoint): EngineServer =>
      new EngineServer(endpoint, this.#client, { healthTimeoutMs: HEALTH_TIMEOUT_MS });
    this.#pools = { prefill: prefill.map(server), decode: decode.map(server) };
  }

  /** Servers that are not up yet do not keep the instance from starting: readiness says so instead. */
  start(): Promise<void> {
    return Promise.resolve();
  }

  stop(): Promise<void> {
    return this.#client.close();
  }

  run(): Observable<ResponsePart> {
    return throwError(
      () =>
        new InferenceError('This instance has no engine of its own, and no manager took the request.', {
          status: 503,
          code: 'no_local_engine',
        }),
    );
  }

  /** The remote engines check their requests themselves. */
  check(): void {}

  models(): Promise<readonly ModelCard[]> {
    return this.#first('decode', (server) => server.models());
  }

  tokenize(body: JsonObject): Promise<JsonObject> {
    return this.#first('prefill', (server) => server.tokenize(body));
  }

  detokenize(body: JsonObject): Promise<JsonObject> {
    return this.#first('decode', (server) => server.detokenize(body));
  }

  render(api: TextApi, body: JsonObject): Promise<JsonObject | JsonObject[]> {
    return this.#first('prefill', (server) => server.render(api, body));
  }

  derender(api: TextApi, body: JsonObject): Promise<JsonObject> {
    return this.#first('decode', (server) => server.derender(api, body));
  }

  /** Ready while each pool that has endpoints has a healthy one. */
  async health(): Promise<EngineHealth> {
    const pools = await Promise.all(
      this.#entries().map(async ([name, servers]) => ({
        name,
        healths: await Promise.all(servers.map((server) => server.health())),
      })),
    );
    if (pools.length === 0) return { ready: false, reason: 'No endpoint is configured.' };
    const failed = pools.filter(({ healths }) => !healths.some(({ ready }) => ready));
    if (failed.length === 0) return { ready: true };
    const reasons = failed.map(({ name, healths }) => `No ${name} endpoint is healthy: ${healths[0]?.reason}`);
    return { ready: false, reason: reasons.join(' ') };
  }

  /** What the last health check found; it is not repeated for a scrape. */
  metrics(): readonly EngineMetric[] {
    const samples = this.#entries().flatMap(([pool, servers]) =>
      servers.flatMap(({ endpoint, lastHealth }) =>
        lastHealth === undefined
          ? []
          : [{ labels: { pool, endpoint: endpoint.name }, value: Number(lastHealth.ready) }],
      ),
    );
    if (samples.length === 0) return [];
    return [
      { name: 'remote_up', help: 'Whether the remote endpoint was healthy when last asked.', type: 'gauge', samples },
    ];
  }

  /** The pools that have endpoints. */
  #entries(): [PoolName, readonly EngineServer[]][] {
    const { prefill, decode } = this.#pools;
    const pools: [PoolName, readonly EngineServer[]][] = [
      ['prefill', prefill],
      ['decode', decode],
    ];
    return pools.filter(([, servers]) => servers.length > 0);
  }

  /** The answer of the first server of the pool that has one; of the other pool when this one is empty. */
  async #first<T>(pool: PoolName, ask: (server: EngineServer) => Promise<T>): Promise<T> {
    const { prefill, decode } = this.#pools;
    const own = this.#pools[pool];
    let first: InferenceError | undefined;
    for (const server of own.length > 0 ? own : [...prefill, ...decode]) {
      try {
        return await ask(server);
      } catch (error) {
        const failure = InferenceError.from(error);
        // What the request is to blame for would be refused by the others too.
        if (failure.status < 500) throw failure;
        first ??= failure;
      }
    }
    throw first ?? new RemoteUnavailableError('none', 'no_endpoint');
  }
}
