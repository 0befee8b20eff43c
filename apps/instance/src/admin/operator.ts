import { ANONYMOUS } from '@baton/inference';
import type { FastifyRequest } from 'fastify';
import { callerOfRequest } from '../security/request-caller.js';

/** The label of the key that a request came with, for history and log. */
export function operatorOf(http: FastifyRequest): string {
  return (callerOfRequest(http) ?? ANONYMOUS).label;
}
