import { clientRequestId, InferenceError, stringifyJson } from '@baton/inference';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { LogController, type FastifyError, type FastifyReply, type FastifyRequest } from 'fastify';
import type { IncomingMessage, ServerOptions } from 'node:http';
import type { Logger } from 'pino';
import { errorAnswer } from './error-answer.js';
import { onExchangeEnd, type HttpExchange } from './http-exchange.js';
import type { ServerConfig } from '../config/instance-config.js';
import { answerClientError } from './client-error.js';
import type { ConnectionLimit } from './connection-limit.js';
import { assertPlainJson } from './content-headers.js';
import { refuseWrongMethod } from './method-not-allowed.js';
import { parseJsonBody } from './parse-json-body.js';
import { assertOneFraming } from './one-framing.js';
import { readBody } from './read-body.js';
import { REQUEST_ID_HEADER, stampResponse } from './stamp-response.js';

/** How often Node looks for requests that are over their time, at least: so much longer they may last. */
const TIMEOUT_CHECK_MS = 5_000;
/** Then the kernel asks every second whether the client is there, ten times: it finds those that vanished without a word. */
const TCP_KEEP_ALIVE_MS = 15_000;
const MAX_PARAM_LENGTH = 512;
/** What is answered on a connection above the limit. */
const OPERATIONAL = /^\/(?:health\/|metrics$|metrics\?)/;

/** Options of {@link createAdapter}. */
export interface AdapterOptions {
  /**
   * Whether large arrays of token ids are passed on as the bytes they came in (`RawJson`), for engines that are not in
   * this process. Default false.
   */
  readonly keepsLargeArrays?: boolean;
  /** Bounds the connections of clients. Default: nothing does. */
  readonly connections?: ConnectionLimit;
  /** Asked before anything of a body is read; what it throws is the answer. Default: everybody may do everything. */
  readonly admit?: (request: FastifyRequest) => void;
}

/**
 * Fastify as this instance needs it: bounded, and with our own parser for bodies.
 *
 * @param onExchange told of every request that is over.
 */
export function createAdapter(
  server: ServerConfig,
  logger: Logger,
  onExchange: (exchange: HttpExchange) => void,
  options: AdapterOptions = {},
): FastifyAdapter {
  const begin = (request: FastifyRequest, reply: FastifyReply): void => {
    stampResponse(request, reply);
    onExchangeEnd(request, reply, onExchange);
  };
  const adapter = new FastifyAdapter({
    // What Fastify says below a warning (that it listens, each request twice) is said elsewhere, once.
    loggerInstance: logger.child({}, { level: logger.isLevelEnabled('warn') ? 'warn' : logger.level }),
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: server.bodyLimitBytes,
    ...timeoutsOf(server),
    maxRequestsPerSocket: server.maxRequestsPerSocket,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    // While shutting down, requests are refused by the drain, in the shape of all other errors.
    return503OnClosing: false,
    genReqId: (request: IncomingMessage) => clientRequestId(request.headers[REQUEST_ID_HEADER]),
    clientErrorHandler: answerClientError,
    frameworkErrors: (error: FastifyError, request: FastifyRequest, reply: FastifyReply) => {
      // The URL could not be routed: no error handler of a route applies.
      begin(request, reply);
      const { status, body } = errorAnswer(error, server);
      void reply.code(status).send(body);
    },
    // No middleware is used; without it a request has a few hops less.
    skipMiddie: true,
  });
  const fastify = adapter.getInstance();
  options.connections?.guard(fastify.server);
  const assertFramed = (request: FastifyRequest, reply: FastifyReply): void => {
    try {
      assertOneFraming(request.raw);
    } catch (error) {
      void reply.header('connection', 'close');
      throw error;
    }
  };
  adapter.setOnRequestHook((request, reply, done) => {
    begin(request, reply);
    assertFramed(request, reply);
    if (options.connections?.isSpare(request.raw.socket) === true) {
      void reply.header('connection', 'close');
      if (!OPERATIONAL.test(request.url)) throw tooManyConnections();
    }
    options.admit?.(request);
    refuseWrongMethod(fastify, request);
    done();
  });
  // Of what an engine server answers, every digit.
  fastify.setReplySerializer((payload) => stringifyJson(payload));
  fastify.removeContentTypeParser('text/plain');
  const parsing = {
    depthLimit: server.jsonDepthLimit,
    keyLimit: server.jsonKeyLimit,
    itemLimit: server.jsonItemLimit,
    keepsLargeArrays: options.keepsLargeArrays ?? false,
  };
  fastify.addContentTypeParser('application/json', async (request: FastifyRequest, payload: IncomingMessage) => {
    assertPlainJson(request.headers);
    return parseJsonBody(await readBody(request, payload), parsing);
  });
  return adapter;
}

/** Fastify has no limits of its own for heads, and switches Node's for whole requests off. */
function timeoutsOf({ headersTimeoutMs, requestTimeoutMs, keepAliveTimeoutMs }: ServerConfig): {
  requestTimeout: number;
  keepAliveTimeout: number;
  http: ServerOptions;
} {
  // A head has no more time than the whole request.
  const headersTimeout = Math.min(headersTimeoutMs, requestTimeoutMs);
  return {
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    http: {
      headersTimeout,
      requestTimeout: requestTimeoutMs,
      connectionsCheckingInterval: Math.min(TIMEOUT_CHECK_MS, headersTimeout),
      keepAlive: true,
      keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
    },
  };
}

function tooManyConnections(): InferenceError {
  return new InferenceError('This instance has too many connections.', {
    status: 503,
    code: 'overloaded',
    retryAfterSeconds: 1,
  });
}
