import {
  InferenceError,
  wholeAnswer,
  isJsonObject,
  type InferenceRequest,
  type JsonObject,
  type ResponsePart,
} from '@baton/inference';
import { parseEndpoint, RemoteClient, type Endpoint, type RemoteClientOptions } from '@baton/remotes';
import { firstValueFrom, type Observable } from 'rxjs';
import type { Engine, EngineHealth, EngineMetric, ModelCard } from './engine.js';

/** Options of an {@link HttpEngine}. */
export interface HttpEngineOptions extends RemoteClientOptions {
  /** Origin of the server, for example `http://127.0.0.1:8000`. */
  readonly url: string;
  /** Sent as `Authorization: Bearer`. */
  readonly apiKey?: string;
}

/**
 * An engine server beside this instance that speaks the OpenAI protocol as vLLM does. Requests and answers pass
 * as they are; unknown fields survive.
 */
export class HttpEngine implements Engine {
  readonly #endpoint: Endpoint;
  readonly #client: RemoteClient;

  constructor(options: HttpEngineOptions) {
    this.#endpoint = parseEndpoint({ url: options.url, apiKey: options.apiKey });
    this.#client = new RemoteClient(options);
  }

  /** A server that is not up yet does not keep the instance from starting: readiness says so instead. */
  start(): Promise<void> {
    return Promise.resolve();
  }

  stop(): Promise<void> {
    return this.#client.close();
  }

  run(request: InferenceRequest): Observable<ResponsePart> {
    return this.#client.run(this.#endpoint, request);
  }

  /** The server checks its requests itself. */
  check(): void {}

  async models(): Promise<readonly ModelCard[]> {
    const { data } = await this.#json('GET', '/v1/models');
    return Array.isArray(data) ? data.filter(isJsonObject).map(modelCard) : [];
  }

  tokenize(body: JsonObject): Promise<JsonObject> {
    return this.#json('POST', '/tokenize', body);
  }

  detokenize(body: JsonObject): Promise<JsonObject> {
    return this.#json('POST', '/detokenize', body);
  }

  async health(): Promise<EngineHealth> {
    try {
      await firstValueFrom(this.#client.call(this.#endpoint, { method: 'GET', path: '/health' }));
      return { ready: true };
    } catch (error) {
      return { ready: false, reason: `The engine server is not healthy: ${InferenceError.from(error).message}` };
    }
  }

  metrics(): readonly EngineMetric[] {
    return [];
  }

  #json(method: 'GET' | 'POST', path: string, body?: JsonObject): Promise<JsonObject> {
    const headers = { 'content-type': 'application/json', accept: 'application/json' };
    const content = body === undefined ? {} : { headers, body: JSON.stringify(body) };
    return firstValueFrom(this.#client.call(this.#endpoint, { method, path, ...content }).pipe(wholeAnswer()));
  }
}

/** Source: vLLM `GET /v1/models`. */
function modelCard(card: JsonObject): ModelCard {
  return {
    id: String(card['id']),
    created: Number(card['created'] ?? 0),
    ownedBy: typeof card['owned_by'] === 'string' ? card['owned_by'] : 'unknown',
    ...(typeof card['max_model_len'] === 'number' ? { maxModelTokens: card['max_model_len'] } : {}),
  };
}
