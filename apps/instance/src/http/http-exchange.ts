import type { FastifyReply, FastifyRequest } from 'fastify';
import { callerOfRequest } from '../security/request-caller.js';

/** An HTTP request that is over. */
export interface HttpExchange {
  readonly requestId: string;
  readonly method: string;
  /** The route's pattern, never the path that the client sent; `unmatched` when there is none. */
  readonly route: string;
  readonly status: number;
  readonly ms: number;
  /** The label of the caller's key; absent for callers that were refused, and on routes that ask nobody. */
  readonly caller?: string;
  /** Who answered: a manager's name, or `local`. */
  readonly manager: string;
  /** Whether the client left before it had everything. */
  readonly isClientGone: boolean;
}

/**
 * Calls `listener` once, when the response is complete or the client has gone. Fastify's own `onResponse` hook is
 * silent for clients that leave.
 */
export function onExchangeEnd(
  request: FastifyRequest,
  reply: FastifyReply,
  listener: (exchange: HttpExchange) => void,
): void {
  const startedAt = performance.now();
  reply.raw.once('close', () => {
    listener({
      requestId: request.id,
      method: request.method,
      route: request.is404 ? 'unmatched' : (request.routeOptions.url ?? 'unmatched'),
      status: reply.raw.statusCode,
      ms: Math.round((performance.now() - startedAt) * 10) / 10,
      caller: callerOfRequest(request)?.label,
      manager: String(reply.getHeader('x-baton-manager') ?? 'local'),
      isClientGone: !reply.raw.writableFinished,
    });
  });
}
