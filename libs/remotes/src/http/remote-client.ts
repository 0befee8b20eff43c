import {
  choiceCount,
  FlowValve,
  jsonChunks,
  legOf,
  TIMEOUT_HEADER,
  type InferenceRequest,
  type ResponsePart,
} from '@baton/inference';
import { defer, map, type Observable } from 'rxjs';
import { Agent } from 'undici';
import { dialectOf } from '../dialects/dialects.js';
import type { Endpoint } from '../endpoint.js';
import { guardedConnector } from '../outbound/guarded-connector.js';
import { NetworkPolicy, type NetworkPolicyOptions } from '../outbound/network-policy.js';
import { AbortCalls } from './abort-calls.js';
import type { AnswerReading } from './answer-sink.js';
import type { CallTimes } from './call-clock.js';
import { endsWithPrompt } from './ends-with-prompt.js';
import { outboundHeaders } from './outbound-headers.js';
import { readAnswer } from './read-answer.js';
import { sendCall, type CallBounds, type HttpCall } from './call.js';

/** Bounds of calls to other processes. */
export interface RemoteClientOptions extends NetworkPolicyOptions {
  /** To open a connection. Default 1,000 ms. */
  readonly connectTimeoutMs?: number;
  /** From the request sent to the head of a streamed answer: a whole prefill may lie between. Default 60,000 ms. */
  readonly headTimeoutMs?: number;
  /**
   * From the request sent to the head of an answer that is not streamed: its head comes when the last token is made.
   * Default 1,800,000 ms.
   */
  readonly answerTimeoutMs?: number;
  /** From the head of a stream to its first event with data: some servers send the head at once. Default 60,000 ms. */
  readonly firstTokenTimeoutMs?: number;
  /** Between two events with data of a stream, or two pieces of another answer. Default 30,000 ms. */
  readonly idleTimeoutMs?: number;
  /** For a whole call, from its begin to the end of its answer. Default 1,800,000 ms. */
  readonly totalTimeoutMs?: number;
  /** Of an answer that is not streamed. Default 64 MiB. */
  readonly maxAnswerBytes?: number;
  /** Of one event of a stream. Default 4 MiB. */
  readonly maxEventBytes?: number;
}

/** What a call sends besides its defaults. */
export type CallRequest = Pick<HttpCall, 'method' | 'path'> &
  Partial<Pick<HttpCall, 'headers' | 'body' | 'events' | 'valve' | 'deadlineMs' | 'onLeft'>> &
  Partial<Pick<CallTimes, 'headTimeoutMs' | 'totalTimeoutMs'>> &
  /** Of an answer that is not streamed, within the bound of the client. */
  Partial<Pick<CallBounds, 'maxAnswerBytes'>>;

/** Of one name; more than balancers by DNS give at a time. */
const MOST_ADDRESSES = 32;

/** The HTTP client to other instances and to engine servers. One per trust domain: sockets are never shared across. */
export class RemoteClient {
  readonly #agent: Agent;
  readonly #aborts: AbortCalls;
  readonly #bounds: CallBounds;
  readonly #times: CallTimes;
  readonly #answerTimeoutMs: number;
  /** As many as there are endpoints with names. */
  readonly #found = new Map<string, readonly string[]>();

  /** @throws Error naming the network of `allowedNetworks` that cannot be read. */
  constructor(options: RemoteClientOptions = {}) {
    const policy = new NetworkPolicy(options);
    this.#aborts = new AbortCalls(undefined, policy);
    this.#times = {
      connectTimeoutMs: options.connectTimeoutMs ?? 1_000,
      headTimeoutMs: options.headTimeoutMs ?? 60_000,
      firstTokenTimeoutMs: options.firstTokenTimeoutMs ?? 60_000,
      idleTimeoutMs: options.idleTimeoutMs ?? 30_000,
      totalTimeoutMs: options.totalTimeoutMs ?? 1_800_000,
    };
    this.#agent = new Agent({
      // Neither a proxy of the environment nor a redirect: what is dialled is what was configured.
      connect: guardedConnector(policy, {
        timeoutMs: this.#times.connectTimeoutMs,
        found: (host, addresses) => this.#remember(host, addresses),
      }),
      // Shorter than any server of the field keeps an idle connection (uvicorn: 5 s), so that no request meets
      // a connection that is being closed.
      keepAliveTimeout: 4_000,
      // Nor longer when a server says that it would wait: idle sockets are worth little, and each costs both sides one.
      keepAliveMaxTimeout: 4_000,
      // A connection under load would never be looked up again: an endpoint that has moved is found after this long.
      clientTtl: 10_000,
      pipelining: 1,
    });
    this.#answerTimeoutMs = options.answerTimeoutMs ?? 1_800_000;
    this.#bounds = {
      maxAnswerBytes: options.maxAnswerBytes ?? 64 * 1024 * 1024,
      maxEventBytes: options.maxEventBytes ?? 4 * 1024 * 1024,
    };
  }

  /**
   * Runs `leg` on `endpoint`, in its dialect. Cold; unsubscribing aborts the leg there: closes the connection, and tells
   * the server as well when its dialect has a call for that. An answer that says it failed, or is not whole, fails.
   *
   * @param request a leg, or the client's own request, which runs as a leg of its own: two clients may have chosen one id,
   *   and what ends the one by its id must not end the other.
   */
  run(endpoint: Endpoint, request: InferenceRequest): Observable<ResponsePart> {
    return defer(() => {
      const leg = request.isLeg ? request : legOf(request, request.body);
      const dialect = dialectOf(endpoint.dialect);
      const { path, body } = dialect.call(leg);
      const reading: AnswerReading = { choices: choiceCount(leg), translator: dialect.translator?.(leg) };
      const answer = this.call(endpoint, {
        method: 'POST',
        path,
        headers: { ...outboundHeaders(leg), ...timeLeft(leg) },
        body: jsonChunks(body),
        events: leg.stream ? reading : undefined,
        valve: leg.valve,
        headTimeoutMs: leg.stream || endsWithPrompt(leg) ? this.#times.headTimeoutMs : this.#answerTimeoutMs,
        deadlineMs: leg.deadlineMs,
        onLeft: () => {
          const abort = dialect.abort(leg);
          if (abort !== undefined) this.#aborts.send(endpoint, abort);
        },
      });
      return leg.stream ? answer : answer.pipe(map((part) => readAnswer(part, reading)));
    });
  }

  /** Sends any call to `endpoint`. Cold. */
  call(endpoint: Endpoint, request: CallRequest): Observable<ResponsePart> {
    const { headers = {}, valve = new FlowValve(), maxAnswerBytes } = request;
    const { headTimeoutMs = this.#times.headTimeoutMs, totalTimeoutMs = this.#times.totalTimeoutMs } = request;
    const { origin, name, apiKey } = endpoint;
    return sendCall(this.#agent, {
      ...request,
      secret: apiKey,
      origin,
      name,
      headers: apiKey === undefined ? headers : { ...headers, authorization: `Bearer ${apiKey}` },
      valve,
      times: { ...this.#times, headTimeoutMs, totalTimeoutMs },
      bounds: { ...this.#bounds, maxAnswerBytes: Math.min(maxAnswerBytes ?? Infinity, this.#bounds.maxAnswerBytes) },
    });
  }

  /** The addresses that the name of an endpoint was found at when it was dialled lately; empty before that. */
  addressesOf(host: string): readonly string[] {
    return this.#found.get(host) ?? [];
  }

  /** With those of the lookups before, which live connections may still go to. */
  #remember(host: string, addresses: readonly string[]): void {
    this.#found.set(host, [...new Set([...addresses, ...this.addressesOf(host)])].slice(0, MOST_ADDRESSES));
  }

  /** Closes every socket. Waits for the aborts that are on their way, two seconds at most. */
  async close(): Promise<void> {
    await this.#agent.destroy();
    await this.#aborts.settled();
  }
}

/** What is left of the time that the whole request has, for whoever computes the leg. */
function timeLeft({ deadlineMs }: InferenceRequest): Record<string, string> {
  if (deadlineMs === undefined) return {};
  return { [TIMEOUT_HEADER]: String(Math.max(1, Math.floor(deadlineMs - performance.now()))) };
}
