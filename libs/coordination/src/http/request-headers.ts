import type { InferenceRequest } from '@baton/inference';
import type { IncomingHttpHeaders } from 'node:http';

/**
 * Headers of the client that accompany every leg, and how long they may be: tracing only, never credentials or cookies.
 * Lengths: W3C Trace Context, W3C Baggage.
 */
const FORWARDED: Readonly<Record<string, number>> = { traceparent: 1_024, tracestate: 1_024, baggage: 8_192 };

/** Never seen by policies, which could log or send them on. */
const CREDENTIALS = new Set([
  ...['authorization', 'proxy-authorization', 'cookie', 'set-cookie'],
  ...['x-api-key', 'api-key', 'x-auth-token', 'x-goog-api-key'],
]);

/** The headers that go with every leg. One that `Connection` names was meant for this hop only (RFC 9110, 7.6.1). */
export function accompanyingHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const nominated = nominatedBy(headers.connection);
  const kept = Object.entries(FORWARDED).flatMap(([name, longest]) => {
    const value = headers[name];
    const isKept = typeof value === 'string' && value.length <= longest && PRINTABLE.test(value);
    return isKept && !nominated.has(name) ? [[name, value] as const] : [];
  });
  return Object.fromEntries(kept);
}

const PRINTABLE = /^[\x20-\x7e\t]*$/;

/** What policies may read: everything but credentials and cookies. */
export function readableHeaders(headers: IncomingHttpHeaders): InferenceRequest['clientHeaders'] {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !CREDENTIALS.has(name)));
}

function nominatedBy(connection: string | undefined): ReadonlySet<string> {
  return new Set((connection ?? '').split(',').map((name) => name.trim().toLowerCase()));
}
