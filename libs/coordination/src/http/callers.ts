import { ANONYMOUS, type Caller } from '@baton/inference';
import { Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

/**
 * Says who sent a request. This one trusts nobody: whoever calls is a client, so that legs, handoffs and routing headers of
 * others do not count, and instances in front of this one get its answers as if they were clients.
 *
 * Replace it by a provider of your own, which knows your keys, or what your guard has found out:
 *
 * ```ts
 * CoordinationModule.forRoot({ connector: 'nixl', providers: [{ provide: Callers, useClass: OurCallers }] })
 *
 * class OurCallers extends Callers {
 *   override callerOf(http: FastifyRequest): Caller {
 *     return isOurGateway(http) ? { trust: 'peer', label: 'gateway' } : { trust: 'client', label: tenantOf(http) };
 *   }
 * }
 * ```
 *
 * It is asked once for each request, after your guards, and must neither wait nor change anything. Clients of one label may end
 * each other's requests by id. What it throws is answered as any error of a handler is.
 */
@Injectable()
export class Callers {
  callerOf(_http: FastifyRequest): Caller {
    return ANONYMOUS;
  }
}
