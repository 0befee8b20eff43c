import { ANONYMOUS, type Caller } from '@baton/inference';
import { Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

/**
 * Says who sent a request. Replace it by a provider of your own for this token, which knows your keys; this one trusts
 * nobody: whoever calls is a client, so that legs and handoffs of others are not taken.
 */
@Injectable()
export class Callers {
  callerOf(_http: FastifyRequest): Caller {
    return ANONYMOUS;
  }
}
