import { clientRequestId, stringifyJson } from '@baton/inference';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { LogController, type FastifyError, type FastifyReply, type FastifyRequest } from 'fastify';
import type { IncomingMessage } from 'node:http';
import type { Logger } from 'pino';
import { errorAnswer } from './error-answer.js';
import { onExchangeEnd, type HttpExchange } from './http-exchange.js';
import type { ServerConfig } from '../config/instance-config.js';
import { answerClientError } from './client-error.js';
import { refuseWrongMethod } from './method-not-allowed.js';
import { parseJsonBody } from './parse-json-body.js';
import { readBody } from './read-body.js';
import { REQUEST_ID_HEADER, stampResponse } from './stamp-response.js';

/** For the whole of a request, its body included. Fastify switches Node's own limit off. */
const REQUEST_TIMEOUT_MS = 60_000;
const HEADERS_TIMEOUT_MS = 15_000;
/** How often Node looks for requests over those limits. */
const TIMEOUT_CHECK_MS = 5_000;
/** Longer than balancers keep idle connections (60 s), so that it is they who close them. */
const KEEP_ALIVE_TIMEOUT_MS = 72_000;
const MAX_PARAM_LENGTH = 512;

/** Options of {@link createAdapter}. */
export interface AdapterOptions {
  /**
   * Whether large arrays of token ids are passed on as the bytes they came in (`RawJson`), for engines that are not in
   * this process. Default false.
   */
  readonly keepsLargeArrays?: boolean;
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
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    http: { headersTimeout: HEADERS_TIMEOUT_MS, connectionsCheckingInterval: TIMEOUT_CHECK_MS },
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
  adapter.setOnRequestHook((request, reply, done) => {
    begin(request, reply);
    refuseWrongMethod(fastify, request);
    done();
  });
  // Of what an engine server answers, every digit.
  fastify.setReplySerializer((payload) => stringifyJson(payload));
  fastify.removeContentTypeParser('text/plain');
  const parsing = { depthLimit: server.jsonDepthLimit, keepsLargeArrays: options.keepsLargeArrays ?? false };
  fastify.addContentTypeParser('application/json', async (request: FastifyRequest, payload: IncomingMessage) =>
    parseJsonBody(await readBody(request, payload), parsing),
  );
  return adapter;
}
