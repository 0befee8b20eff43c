import type { InferenceApi, InferenceRequest, JsonObject, ResponsePart } from '@baton/inference';
import type { Endpoint } from '@baton/remotes';
import type { Observable } from 'rxjs';

/** A model that an engine serves. */
export interface ModelCard {
  readonly id: string;
  /** Unix time in seconds at which the model file was made or loaded. */
  readonly created: number;
  readonly ownedBy: string;
  /** Prompt and answer together, in tokens; undefined when the engine does not say. */
  readonly maxModelTokens?: number;
}

/** What an engine says of itself, for readiness. */
export interface EngineHealth {
  readonly ready: boolean;
  /** Why it is not ready; a short sentence for an operator. */
  readonly reason?: string;
}

/** One metric of an engine at the moment of a scrape. */
export interface EngineMetric {
  /** Without the `baton_` prefix, with unit and `_total` as Prometheus wants it. */
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  readonly samples: readonly { readonly labels?: Readonly<Record<string, string>>; readonly value: number }[];
}

/** The apis in text, which can be turned into calls of the token endpoint and back. */
export type TextApi = Exclude<InferenceApi, 'generate'>;

/** What computes beside an instance: in this process (embedded), a server (HTTP), or the servers of the pools. */
export interface Engine {
  /** The HTTP server behind it; undefined when it is none, or none in particular. */
  readonly endpoint?: Endpoint | undefined;
  /** KV connectors whose handoffs it takes itself; empty when that is not known here. */
  readonly connectors: readonly string[];
  /** TCP port of the side channel that serves KV handoffs, while it runs; undefined for an engine without one. */
  readonly kvPort?: number | undefined;
  /** Loads what it needs. Rejects when the engine cannot serve. */
  start(): Promise<void>;
  /** Ends everything and gives back memory, files and sockets. */
  stop(): Promise<void>;
  /**
   * Runs a request or a leg. Cold: subscribing starts it, unsubscribing aborts it at any moment. Pauses while
   * `request.valve` is closed. Emits SSE bytes when `request.stream`, else one JSON part; fails with an
   * `InferenceError`.
   */
  run(request: InferenceRequest): Observable<ResponsePart>;
  /** Throws the `InferenceError` that `run` would fail with, before any work is started. */
  check(request: InferenceRequest): void;
  models(): Promise<readonly ModelCard[]>;
  /** vLLM's `POST /tokenize`: `{prompt | messages, ...}` to `{count, max_model_len, tokens}`. */
  tokenize(body: JsonObject): Promise<JsonObject>;
  /** vLLM's `POST /detokenize`: `{tokens}` to `{prompt}`. */
  detokenize(body: JsonObject): Promise<JsonObject>;
  /**
   * vLLM's `POST /v1/.../render`: a request in text to what the token endpoint takes; for completions one for each
   * prompt.
   */
  render(api: TextApi, body: JsonObject): Promise<JsonObject | JsonObject[]>;
  /** vLLM's `POST /v1/.../derender`: answers of the token endpoint, whole or chunk by chunk, to answers in text. */
  derender(api: TextApi, body: JsonObject): Promise<JsonObject>;
  health(): Promise<EngineHealth>;
  metrics(): readonly EngineMetric[] | Promise<readonly EngineMetric[]>;
}
