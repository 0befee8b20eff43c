import { stringifyJson, type JsonObject } from '@baton/inference';
import type { FastifyReply } from 'fastify';

/**
 * Has `body` sent with its integers beyond 2^53 digit for digit: `JSON.stringify` refuses `bigint`s. An answer without
 * one is left to the application's own way to write JSON.
 */
export function keepIntegersExact(body: JsonObject, reply: FastifyReply): void {
  if (!holdsBigint(body)) return;
  // A string is what an interceptor of the application has made of the body.
  void reply.serializer((payload: unknown) => (typeof payload === 'string' ? payload : stringifyJson(payload)));
}

/** Keeps its own stack and what it has seen: a handler may return anything, deep or in a circle. */
function holdsBigint(body: JsonObject): boolean {
  const seen = new Set<object>([body]);
  const open: object[] = [body];
  for (let holder = open.pop(); holder !== undefined; holder = open.pop()) {
    for (const value of Object.values(holder) as unknown[]) {
      if (typeof value === 'bigint') return true;
      if (typeof value !== 'object' || value === null || seen.has(value)) continue;
      seen.add(value);
      open.push(value);
    }
  }
  return false;
}
