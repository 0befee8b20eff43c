import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyRequest } from 'fastify';

/** Who a route is for: everybody; whoever may ask for answers; other instances and operators; operators. */
export type Access = 'open' | 'client' | 'peer' | 'admin';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who the route is for; `client` when it does not say. */
    access?: Access;
  }
}

/** A route that everybody may ask, also without a key. */
export const OpenToAll = (): MethodDecorator => accessFor('open');

/** A route for other instances and for operators, as soon as there are any keys. */
export const PeersOnly = (): MethodDecorator => accessFor('peer');

/** A route for operators. There is none unless an admin key is configured. */
export const AdminOnly = (): MethodDecorator => accessFor('admin');

/** Who the route is for that Fastify has matched, whatever the path looked like that the client sent. */
export function accessOf(request: FastifyRequest): Access {
  return request.is404 ? 'client' : (request.routeOptions.config.access ?? 'client');
}

function accessFor(access: Access): MethodDecorator {
  return RouteConfig({ access });
}
