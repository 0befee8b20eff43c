import { Callers } from '@baton/coordination';
import { ANONYMOUS, type Caller } from '@baton/inference';
import { Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { callerOfRequest } from './request-caller.js';

/** Callers as their keys tell; see {@link Gatekeeper}. */
@Injectable()
export class InstanceCallers extends Callers {
  override callerOf(http: FastifyRequest): Caller {
    return callerOfRequest(http) ?? ANONYMOUS;
  }
}
