import { EngineError } from '../../engine/engine-error.js';
import type { Engine } from '../../engine/engine.js';
import type { Exchange } from '../../http/exchange.js';

/**
 * Refuses what is to be decoded only where its prefix is cached, when it is not: `Prefer: if-available` (a preference as in
 * RFC 7240), as llm-d's endpoint picker in front of decode servers does. Without `--conditional-decode` it is one of the
 * preferences that a server does not know, which it must ignore.
 */
export function assertAvailable(
  { options, prefixCache }: Engine,
  exchange: Exchange,
  prompts: readonly (readonly number[])[],
): void {
  if (!options.conditionalDecode || !prefers(exchange, 'if-available')) return;
  if (prompts.some((promptIds) => prefixCache.hit(promptIds) > 0)) return;
  const said = 'no block of the prompt is cached';
  throw new EngineError(412, said, null, undefined, `inference error: PreconditionFailed - ${said}`);
}

function prefers(exchange: Exchange, preference: string): boolean {
  const preferences = exchange.header('prefer')?.split(',') ?? [];
  return preferences.some((each) => each.split(';')[0]?.trim().toLowerCase() === preference);
}
