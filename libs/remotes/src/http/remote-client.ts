import {
  choiceCount,
  FlowValve,
  jsonChunks,
  LEG_HEADER,
  legOf,
  type InferenceRequest,
  type ResponsePart,
} from '@baton/inference';
import { defer, map, type Observable } from 'rxjs';
import { Agent } from 'undici';
import { dialectOf } from '../dialects/dialects.js';
import type { Endpoint } from '../endpoint.js';
import { AbortCalls } from './abort-calls.js';
import type { AnswerReading } from './answer-sink.js';
import { readAnswer } from './read-answer.js';
import { sendCall, type CallBounds, type HttpCall } from './call.js';

/** Bounds of calls to other processes. */
export interface RemoteClientOptions {
  /** To open a connection. Default 1,000 ms. */
  readonly connectTimeoutMs?: number;
  /** From the request sent to the head of a streamed answer: a whole prefill may lie between. Default 60,000 ms. */
  readonly headTimeoutMs?: number;
  /**
   * From the request sent to the head of an answer that is not streamed: its head comes when the last token is made.
   * Default 1,800,000 ms.
   */
  readonly answerTimeoutMs?: number;
  /** Between two chunks of an answer. Default 30,000 ms. */
  readonly idleTimeoutMs?: number;
  /** Of an answer that is not streamed. Default 64 MiB. */
  readonly maxAnswerBytes?: number;
  /** Of one event of a stream. Default 4 MiB. */
  readonly maxEventBytes?: number;
}

/** What a call sends besides its defaults. */
export type CallRequest = Pick<HttpCall, 'method' | 'path'> &
  Partial<Pick<HttpCall, 'headers' | 'body' | 'events' | 'valve' | 'headTimeoutMs' | 'onLeft'>>;

/** The HTTP client to other instances and to engine servers. One per trust domain: sockets are never shared across. */
export class RemoteClient {
  readonly #agent: Agent;
  readonly #aborts = new AbortCalls();
  readonly #bounds: CallBounds;
  readonly #headTimeoutMs: number;
  readonly #answerTimeoutMs: number;

  constructor(options: RemoteClientOptions = {}) {
    this.#agent = new Agent({
      connect: { timeout: options.connectTimeoutMs ?? 1_000 },
      // Shorter than any server of the field keeps an idle connection (uvicorn: 5 s), so that no request meets
      // a connection that is being closed.
      keepAliveTimeout: 4_000,
      pipelining: 1,
    });
    this.#headTimeoutMs = options.headTimeoutMs ?? 60_000;
    this.#answerTimeoutMs = options.answerTimeoutMs ?? 1_800_000;
    this.#bounds = {
      idleTimeoutMs: options.idleTimeoutMs ?? 30_000,
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
        headers: {
          ...leg.headers,
          'content-type': 'application/json',
          accept: leg.stream ? 'text/event-stream' : 'application/json',
          'x-request-id': leg.id,
          [LEG_HEADER]: '1',
        },
        body: jsonChunks(body),
        events: leg.stream ? reading : undefined,
        valve: leg.valve,
        headTimeoutMs: leg.stream ? this.#headTimeoutMs : this.#answerTimeoutMs,
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
    const { headers = {}, valve = new FlowValve(), headTimeoutMs = this.#headTimeoutMs } = request;
    const { origin, name, apiKey } = endpoint;
    return sendCall(this.#agent, {
      ...request,
      origin,
      name,
      headers: apiKey === undefined ? headers : { ...headers, authorization: `Bearer ${apiKey}` },
      valve,
      headTimeoutMs,
      bounds: this.#bounds,
    });
  }

  /** Closes every socket. Waits for the aborts that are on their way, two seconds at most. */
  async close(): Promise<void> {
    await this.#agent.destroy();
    await this.#aborts.settled();
  }
}
