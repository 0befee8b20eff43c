import { InferenceError } from '@baton/inference';
import type { FastifyInstance, FastifyRequest } from 'fastify';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

/** The route exists, for other methods. */
export class MethodNotAllowedError extends InferenceError {
  constructor(
    method: string,
    /** As the header `Allow` has them: `GET, HEAD`. */
    readonly allow: string,
  ) {
    super(`This route does not answer ${method}; it answers ${allow}.`, { status: 405, code: 'method_not_allowed' });
  }
}

/**
 * Tells a wrong method from a wrong path, which Fastify does not.
 *
 * @throws MethodNotAllowedError
 */
export function refuseWrongMethod(fastify: FastifyInstance, request: FastifyRequest): void {
  if (!request.is404) return;
  const url = request.url.split('?', 1)[0] ?? '';
  const allowed = METHODS.filter((method) => fastify.hasRoute({ method, url }));
  if (allowed.length > 0) throw new MethodNotAllowedError(request.method, allowed.join(', '));
}
