import { HOPS_HEADER, LEG_HEADER, type InferenceRequest } from '@baton/inference';

/**
 * Of one connection (RFC 9110, 7.6.1), made anew for each call, or credentials: those of a client never go to another trust
 * domain, whoever put them here.
 */
const NEVER_SENT_ON = new Set([
  ...['connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'expect', 'host', 'content-length'],
  ...['proxy-connection', 'proxy-authenticate', 'proxy-authorization', 'authorization', 'cookie', 'x-api-key'],
]);

/**
 * The headers that a leg is sent with. Names are in lower case, so that each is there once: what is set here replaces what the
 * leg brought, in any spelling.
 */
export function outboundHeaders(leg: InferenceRequest): Record<string, string> {
  const brought = Object.entries(leg.headers).map(([name, value]) => [name.toLowerCase(), value] as const);
  return {
    ...Object.fromEntries(brought.filter(([name]) => !NEVER_SENT_ON.has(name))),
    'content-type': 'application/json',
    accept: leg.stream ? 'text/event-stream' : 'application/json',
    'x-request-id': leg.id,
    [LEG_HEADER]: '1',
    [HOPS_HEADER]: String(leg.hops + 1),
  };
}
