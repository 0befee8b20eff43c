import type { InferenceRequest, JsonObject, ResponsePart } from '@baton/inference';
import {
  configuredHosts,
  parseEndpoint,
  RemoteClient,
  type DialectName,
  type Endpoint,
  type RemoteClientOptions,
} from '@baton/remotes';
import type { Observable } from 'rxjs';
import type { Engine, EngineHealth, EngineMetric, ModelCard, TextApi } from '../engine.js';
import { EngineServer } from './engine-server.js';

/** Options of an {@link HttpEngine}. */
export interface HttpEngineOptions extends RemoteClientOptions {
  /** Origin of the server, for example `http://127.0.0.1:8000`. */
  readonly url: string;
  /** Sent as `Authorization: Bearer`. */
  readonly apiKey?: string;
  /** What the server speaks. Default `openai`. */
  readonly dialect?: DialectName;
  /** Where the server's KV transfer listens, `host:port`; for connectors that have to say so on the wire. */
  readonly kvAddress?: string;
  /** For one health check. Some servers compute a token for it, behind others' prefills. Default 5,000 ms. */
  readonly healthTimeoutMs?: number;
}

/**
 * An engine server beside this instance. Requests and answers pass as they are, unless its dialect differs; unknown
 * fields survive.
 */
export class HttpEngine implements Engine {
  /** Which connectors the server was started with is not known here. */
  readonly connectors: readonly string[] = [];
  readonly endpoint: Endpoint;
  readonly #client: RemoteClient;
  readonly #server: EngineServer;

  /** @throws Error that names the option at fault. */
  constructor({ url, apiKey, dialect, kvAddress, healthTimeoutMs = 5_000, ...client }: HttpEngineOptions) {
    this.endpoint = parseEndpoint({ url, apiKey, dialect, kvAddress });
    this.#client = new RemoteClient({ ...client, configuredHosts: configuredHosts([this.endpoint]) });
    this.#server = new EngineServer(this.endpoint, this.#client, { healthTimeoutMs });
  }

  /** A server that is not up yet does not keep the instance from starting: readiness says so instead. */
  start(): Promise<void> {
    return Promise.resolve();
  }

  stop(): Promise<void> {
    return this.#client.close();
  }

  run(request: InferenceRequest): Observable<ResponsePart> {
    return this.#client.run(this.endpoint, request);
  }

  /** The server checks its requests itself. */
  check(): void {}

  models(): Promise<readonly ModelCard[]> {
    return this.#server.models();
  }

  tokenize(body: JsonObject): Promise<JsonObject> {
    return this.#server.tokenize(body);
  }

  detokenize(body: JsonObject): Promise<JsonObject> {
    return this.#server.detokenize(body);
  }

  render(api: TextApi, body: JsonObject): Promise<JsonObject | JsonObject[]> {
    return this.#server.render(api, body);
  }

  derender(api: TextApi, body: JsonObject): Promise<JsonObject> {
    return this.#server.derender(api, body);
  }

  async health(): Promise<EngineHealth> {
    const { ready, reason } = await this.#server.health();
    return ready ? { ready } : { ready, reason: `The engine server is not healthy: ${reason}` };
  }

  metrics(): Promise<readonly EngineMetric[]> {
    return this.#server.metrics();
  }
}
