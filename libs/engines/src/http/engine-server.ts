import {
  answerJson,
  InferenceError,
  isJsonObject,
  stringifyJson,
  type JsonObject,
  type ResponsePart,
} from '@baton/inference';
import {
  callJson,
  dialectOf,
  RemoteUnavailableError,
  type Dialect,
  type Endpoint,
  type RemoteClient,
} from '@baton/remotes';
import {
  firstValueFrom,
  from,
  map,
  of,
  reduce,
  throwError,
  timeout,
  type Observable,
  type OperatorFunction,
} from 'rxjs';
import type { EngineHealth, EngineMetric, ModelCard, TextApi } from '../engine.js';
import { notSupported } from './not-supported.js';
import { Recent } from './recent.js';
import { serverLoad } from './server-load.js';
import { tokenCallsOf, type TokenCalls } from './token-calls.js';

/** Probes of one server come from several places, each every few seconds. */
const FRESH_MS = 1_000;
const METRICS_TIMEOUT_MS = 1_000;

const TEXT_PATHS: Readonly<Record<TextApi, string>> = { completions: '/v1/completions', chat: '/v1/chat/completions' };

/** All that one engine server is asked for besides inference, in its own dialect. */
export class EngineServer {
  readonly #client: RemoteClient;
  readonly #health: Recent<EngineHealth>;
  readonly #load: Recent<readonly EngineMetric[]>;

  constructor(
    readonly endpoint: Endpoint,
    client: RemoteClient,
    options: { readonly healthTimeoutMs: number },
  ) {
    this.#client = client;
    this.#health = new Recent(() => this.#askHealth(options.healthTimeoutMs), FRESH_MS);
    this.#load = new Recent(() => this.#askLoad(), FRESH_MS);
  }

  /** Looked up when it is needed: that of a plugin comes after this engine. */
  get #dialect(): Dialect {
    return dialectOf(this.endpoint.dialect);
  }

  async models(): Promise<readonly ModelCard[]> {
    const { data } = await this.#json('GET', '/v1/models');
    return Array.isArray(data) ? data.filter(isJsonObject).map(modelCard) : [];
  }

  async tokenize(body: JsonObject): Promise<JsonObject> {
    return this.#tokenCalls().tokenize(this.#json, body);
  }

  async detokenize(body: JsonObject): Promise<JsonObject> {
    return this.#tokenCalls().detokenize(this.#json, body);
  }

  async render(api: TextApi, body: JsonObject): Promise<JsonObject | JsonObject[]> {
    const path = `${TEXT_PATHS[api]}/render`;
    if (!this.#dialect.renders) throw notSupported(this.#dialect.name, path);
    return firstValueFrom(this.#post(path, body).pipe(textOf(), map(readRendered)));
  }

  async derender(api: TextApi, body: JsonObject): Promise<JsonObject> {
    const path = `${TEXT_PATHS[api]}/derender`;
    if (!this.#dialect.renders) throw notSupported(this.#dialect.name, path);
    return this.#json('POST', path, body);
  }

  /** Asked at most once at a time, and at most once a second. */
  health(): Promise<EngineHealth> {
    return this.#health.get();
  }

  /** What `health` said last; undefined when it was never asked. */
  get lastHealth(): EngineHealth | undefined {
    return this.#health.last;
  }

  /**
   * Whether it is healthy, and how busy it says that it is. Bounded: a server that hangs must not keep the scrape of
   * this process waiting, which then gives what was known before.
   */
  async metrics(): Promise<readonly EngineMetric[]> {
    const known = (): Observable<EngineHealth> => of(this.lastHealth ?? { ready: false });
    const [load, { ready }] = await Promise.all([
      this.#load.get(),
      firstValueFrom(from(this.health()).pipe(timeout({ first: METRICS_TIMEOUT_MS, with: known }))),
    ]);
    const help = 'Whether the engine server is healthy.';
    return [{ name: 'engine_up', help, type: 'gauge', samples: [{ value: Number(ready) }] }, ...load];
  }

  #tokenCalls(): TokenCalls {
    const calls = tokenCallsOf(this.#dialect.name);
    if (calls === undefined) throw notSupported(this.#dialect.name, 'tokenizer for others');
    return calls;
  }

  readonly #json = (method: 'GET' | 'POST', path: string, body?: JsonObject): Promise<JsonObject> =>
    firstValueFrom(callJson(this.#client, this.endpoint, { method, path, ...(body === undefined ? {} : { body }) }));

  async #askHealth(timeoutMs: number): Promise<EngineHealth> {
    try {
      await this.#get(this.#dialect.healthPath, timeoutMs);
      return { ready: true };
    } catch (error) {
      return { ready: false, reason: InferenceError.from(error).message };
    }
  }

  async #askLoad(): Promise<readonly EngineMetric[]> {
    const names = this.#dialect.metrics;
    if (names === undefined) return [];
    const text = await this.#get('/metrics', METRICS_TIMEOUT_MS).catch(() => '');
    return serverLoad(text, names);
  }

  #post(path: string, body: JsonObject): Observable<ResponsePart> {
    const headers = { 'content-type': 'application/json', accept: 'application/json' };
    return this.#client.call(this.endpoint, { method: 'POST', path, headers, body: stringifyJson(body) });
  }

  /** The text of an answer, which has to be whole within `timeoutMs`. */
  #get(path: string, timeoutMs: number): Promise<string> {
    const late = () => throwError(() => new RemoteUnavailableError(this.endpoint.name, 'timeout'));
    return firstValueFrom(
      this.#client
        .call(this.endpoint, { method: 'GET', path })
        .pipe(textOf(), timeout({ first: timeoutMs, with: late })),
    );
  }
}

/** The whole answer as text. */
function textOf(): OperatorFunction<ResponsePart, string> {
  return (parts) =>
    parts.pipe(
      reduce<ResponsePart, Uint8Array[]>((all, part) => (part.kind === 'bytes' ? [...all, part.bytes] : all), []),
      map((all) => Buffer.concat(all).toString('utf8')),
    );
}

/** One request of the token endpoint, or one for each prompt. @throws InferenceError 502 for anything else. */
function readRendered(text: string): JsonObject | JsonObject[] {
  const rendered = answerJson(text);
  if (isJsonObject(rendered)) return rendered;
  if (Array.isArray(rendered) && rendered.every(isJsonObject)) return rendered;
  throw new InferenceError('The engine server did not answer with a rendered request.', {
    status: 502,
    code: 'bad_upstream_answer',
  });
}

/** Source: vLLM `GET /v1/models`. */
function modelCard(card: JsonObject): ModelCard {
  return {
    id: typeof card['id'] === 'string' ? card['id'] : 'unknown',
    created: typeof card['created'] === 'number' ? card['created'] : 0,
    ownedBy: typeof card['owned_by'] === 'string' ? card['owned_by'] : 'unknown',
    ...(typeof card['max_model_len'] === 'number' ? { maxModelTokens: card['max_model_len'] } : {}),
  };
}
