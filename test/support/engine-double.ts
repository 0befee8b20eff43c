/**
 * TEST DOUBLE, not an engine: a server that speaks the protocols of an engine server (OpenAI completions and chat,
 * vLLM's token endpoint, `kv_transfer_params` with a KV ledger) and computes nothing. It sends as many tokens, as
 * fast and with such faults as a test asks for, and keeps count of what it was sent.
 */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Behaviour } from './engine-double/behaviour.js';
import { KvLedger, type HandoffCounts } from './engine-double/kv-ledger.js';
import { batchSteps, ownTimers } from './engine-double/pace.js';
import { errorBody, TokenStream, type AnswerProgress } from './engine-double/token-stream.js';
import {
  APIS,
  AnswerWire,
  isObject,
  kvTransferParams,
  MIN_TOKEN_BYTES,
  MODEL,
  promptTokens,
  tokenLimit,
  type Api,
  type Json,
} from './engine-double/wire.js';

export { Gate, type Behaviour, type Ending } from './engine-double/behaviour.js';
export { MODEL as DOUBLE_MODEL, tokenId, tokenText } from './engine-double/wire.js';

/** A request that the double was sent, with what became of its answer. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** Empty when there was none. */
  readonly body: Json;
  /** Which leg its `kv_transfer_params` make it. */
  readonly leg: 'prefill' | 'decode' | 'none';
  /** `performance.now()` when it had arrived whole. */
  readonly atMs: number;
  /** Tokens, bytes and pauses of its answer so far. */
  readonly progress: Readonly<AnswerProgress>;
  /** `aborted`: the other side left before the answer was complete; `reset`: the double was told to. */
  state: 'open' | 'complete' | 'aborted' | 'reset';
  /** `performance.now()` when it ended. */
  endedAtMs?: number;
}

/** What a request gets, perhaps depending on the request. */
export type Behave = Behaviour | ((request: SeenRequest) => Behaviour);

/** Options of {@link startEngineDouble}. */
export interface EngineDoubleOptions {
  /** Default: complete answers at once. Can be changed later by {@link EngineDouble.behave}. */
  readonly behaviour?: Behave;
  /** Streams of one interval get their tokens together, as from an engine's batch. Default false. */
  readonly batchSteps?: boolean;
  /** Requests kept in `requests`; older ones are forgotten. Default 10,000. */
  readonly keepRequests?: number;
  /** Default 0, any free port. */
  readonly port?: number;
}

/** A running double. Counters count since its start. */
export interface EngineDouble {
  readonly url: string;
  readonly port: number;
  /** Requests for inference and for handoffs, oldest first; not those for health, models and tokens. */
  readonly requests: readonly SeenRequest[];
  /** Answers that are being made or sent now. */
  readonly active: number;
  /** Requests whose sender left before its answer was complete; `endedAtMs` says when. */
  readonly aborted: readonly SeenRequest[];
  /** Bytes of answer bodies handed to the responses. */
  readonly bytesWritten: number;
  /** How often an answer had to wait because its client took no more. */
  readonly paused: number;
  readonly handoffs: HandoffCounts;
  /** What `GET /health` says; true at first. */
  healthy: boolean;
  /** Changes what requests get from now on. */
  behave(behaviour: Behave): void;
  /** Ends every connection. */
  close(): Promise<void>;
}

/** Starts a double on 127.0.0.1. */
export async function startEngineDouble(options: EngineDoubleOptions = {}): Promise<EngineDouble> {
  const double = new Double(options);
  await double.listen(options.port ?? 0);
  return double;
}

const DEFAULT_TOKENS = 16;
const MAX_MODEL_LEN = 131_072;
const HANDOFFS = '/kv/v1/handoffs/';

class Double implements EngineDouble {
  readonly requests: SeenRequest[] = [];
  readonly aborted: SeenRequest[] = [];
  healthy = true;
  active = 0;
  readonly #ledger = new KvLedger();
  readonly #pace;
  readonly #keep: number;
  readonly #ended: AnswerProgress = { tokens: 0, bytes: 0, paused: 0 };
  readonly #open = new Set<AnswerProgress>();
  #behaviour: Behave;
  // An engine server keeps idle connections; nothing here may end one by itself in the middle of a test.
  readonly #server = createServer({ keepAliveTimeout: 60_000, requestTimeout: 0 }, (request, response) => {
    this.#serve(request, response).catch((error: unknown) => {
      if (!response.headersSent && !response.destroyed) send(response, 500, errorBody(500, String(error)));
    });
  });

  constructor(options: EngineDoubleOptions) {
    this.#behaviour = options.behaviour ?? {};
    this.#pace = options.batchSteps === true ? batchSteps() : ownTimers;
    this.#keep = options.keepRequests ?? 10_000;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get bytesWritten(): number {
    return this.#sum('bytes');
  }

  get paused(): number {
    return this.#sum('paused');
  }

  get handoffs(): HandoffCounts {
    return this.#ledger.counts;
  }

  behave(behaviour: Behave): void {
    this.#behaviour = behaviour;
  }

  async listen(port: number): Promise<void> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '/';
    const text = await textOf(request);
    const parsed: unknown = text === '' ? {} : JSON.parse(text);
    const body = isObject(parsed) ? parsed : {};
    if (Object.hasOwn(APIS, path)) return this.#infer(APIS[path as keyof typeof APIS], request, body, response);
    if (path.startsWith(HANDOFFS)) return this.#release(path.slice(HANDOFFS.length), request, response);
    if (path === '/health') return send(response, this.healthy ? 200 : 503, {});
    const answer = TOOLS[path]?.(body);
    return answer === undefined ? send(response, 404, errorBody(404, 'Not Found')) : send(response, 200, answer);
  }

  async #infer(api: Api, request: IncomingMessage, body: Json, response: ServerResponse): Promise<void> {
    const progress = { tokens: 0, bytes: 0, paused: 0 };
    const seen = this.#see(request, body, progress);
    this.#watch(seen, progress, response);
    const behaviour = typeof this.#behaviour === 'function' ? this.#behaviour(seen) : this.#behaviour;
    const { ending, intervalMs = 0, tokenBytes = MIN_TOKEN_BYTES } = behaviour;
    if (tokenBytes < MIN_TOKEN_BYTES)
      throw new RangeError(`tokenBytes is ${tokenBytes}; the least is ${MIN_TOKEN_BYTES}`);
    const tokens = Math.min(behaviour.tokens ?? Infinity, tokenLimit(body) ?? behaviour.tokens ?? DEFAULT_TOKENS);

    if ((behaviour.headDelayMs ?? 0) > 0) await sleep(behaviour.headDelayMs, undefined, { ref: false });
    await behaviour.beforeHead?.pass();
    if (ending?.kind === 'status') return send(response, ending.status, ending.body ?? errorBody(ending.status));
    if (response.destroyed) return;
    if (seen.leg === 'decode') this.#ledger.take(kvTransferParams(body)['remote_request_id']);

    const reset = (): void => {
      seen.state = 'reset';
      response.socket?.resetAndDestroy();
    };
    const wire = new AnswerWire(api, randomUUID(), body, tokens, tokenBytes);
    if (body['stream'] === true) {
      new TokenStream(response, wire, behaviour, tokens, progress, this.#pace, reset).start();
      return;
    }
    if (intervalMs > 0 && tokens > 1) await sleep(intervalMs * (tokens - 1), undefined, { ref: false });
    if (ending?.kind === 'reset') return reset();
    if (ending?.kind === 'error_event') return send(response, 500, errorBody(500));
    const hasHandoff = seen.leg === 'prefill' && behaviour.handoff !== false;
    const whole = wire.whole(hasHandoff ? this.#ledger.leave(this.port, promptTokens(body)) : undefined);
    progress.tokens = tokens;
    progress.bytes = Buffer.byteLength(whole);
    send(response, 200, whole);
  }

  #release(id: string, request: IncomingMessage, response: ServerResponse): void {
    this.#watch(this.#see(request, {}), undefined, response);
    if (request.method === 'DELETE' && this.#ledger.release(decodeURIComponent(id))) response.writeHead(204).end();
    else send(response, 404, errorBody(404, 'No such handoff.'));
  }

  #see(
    request: IncomingMessage,
    body: Json,
    progress: AnswerProgress = { tokens: 0, bytes: 0, paused: 0 },
  ): SeenRequest {
    const params = kvTransferParams(body);
    const leg =
      params['do_remote_decode'] === true ? 'prefill' : params['do_remote_prefill'] === true ? 'decode' : 'none';
    const { method = '', url: path = '', headers } = request;
    const seen: SeenRequest = { method, path, headers, body, leg, atMs: performance.now(), progress, state: 'open' };
    this.requests.push(seen);
    if (this.requests.length > this.#keep) this.requests.shift();
    return seen;
  }

  #watch(seen: SeenRequest, progress: AnswerProgress | undefined, response: ServerResponse): void {
    this.active += 1;
    if (progress !== undefined) this.#open.add(progress);
    response.once('close', () => {
      this.active -= 1;
      seen.endedAtMs = performance.now();
      if (seen.state === 'open') seen.state = response.writableFinished ? 'complete' : 'aborted';
      if (seen.state === 'aborted') this.aborted.push(seen);
      if (progress === undefined) return;
      this.#open.delete(progress);
      this.#ended.bytes += progress.bytes;
      this.#ended.paused += progress.paused;
    });
  }

  #sum(field: 'bytes' | 'paused'): number {
    return [...this.#open].reduce((sum, progress) => sum + progress[field], this.#ended[field]);
  }
}

/** Token ids are the bytes of the text, so that text survives the way there and back. */
const TOOLS: Readonly<Record<string, (body: Json) => unknown>> = {
  // It takes handoffs as an instance does.
  '/baton/v1/info': () => ({ name: 'engine-double', connectors: ['embedded'] }),
  '/v1/models': () => ({
    object: 'list',
    data: [{ id: MODEL, object: 'model', created: 0, owned_by: 'test', max_model_len: MAX_MODEL_LEN }],
  }),
  '/tokenize': (body) => {
    const text = typeof body['prompt'] === 'string' ? body['prompt'] : JSON.stringify(body['messages'] ?? '');
    const tokens = [...Buffer.from(text)];
    return { count: tokens.length, max_model_len: MAX_MODEL_LEN, tokens };
  },
  '/detokenize': (body) => ({ prompt: Buffer.from(Array.isArray(body['tokens']) ? body['tokens'] : []).toString() }),
};

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length }).end(bytes);
}
