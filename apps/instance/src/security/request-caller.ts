import type { Caller } from '@baton/inference';
import type { FastifyRequest } from 'fastify';

const callers = new WeakMap<FastifyRequest, Caller>();

/** Remembers who sent a request. */
export function setCaller(request: FastifyRequest, caller: Caller): void {
  callers.set(request, caller);
}

/** Who sent a request; undefined when it was refused, and on routes that ask nobody. */
export function callerOfRequest(request: FastifyRequest): Caller | undefined {
  return callers.get(request);
}
