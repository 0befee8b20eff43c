import type { FastifyReply, FastifyRequest } from 'fastify';

/** Says which request an answer is for. */
export const REQUEST_ID_HEADER = 'x-request-id';
/** Says who answered: a manager's name, or `local`. */
export const MANAGER_HEADER = 'x-baton-manager';

/**
 * Puts the two headers on an answer that is to come. They go to Node's response, so that they are also there when
 * somebody writes to it directly; Fastify merges them into what it sends.
 */
export function stampResponse(request: FastifyRequest, reply: FastifyReply): void {
  reply.raw.setHeader(REQUEST_ID_HEADER, request.id);
  reply.raw.setHeader(MANAGER_HEADER, 'local');
}
