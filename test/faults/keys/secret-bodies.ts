import type { Random } from '../support/random.js';

/** What a client wrote in confidence. */
export const PROMPT_SECRET = 'canary-prompt';

const secret = (random: Random): string => `${PROMPT_SECRET}-${random.below(1_000_000)}`;

/** A request with a secret in every place of its body, well formed or not. */
export function secretRequest(random: Random): { readonly path: string; readonly body: string } {
  const [path, body] = random.pick(SHAPES)(random);
  const more = Object.fromEntries(Array.from({ length: random.below(4) }, () => random.pick(FIELDS)(random)));
  const text = JSON.stringify({ model: 'sim', max_tokens: 3, ...body, ...more });
  // Cut off, it is no JSON.
  return { path, body: random.next() < 0.1 ? text.slice(0, -1 - random.below(10)) : text };
}

const SHAPES: readonly ((random: Random) => readonly [path: string, body: Record<string, unknown>])[] = [
  (random) => ['/v1/completions', { prompt: secret(random) }],
  (random) => ['/v1/completions', { prompt: [secret(random), 5] }],
  (random) => ['/v1/chat/completions', { messages: [{ role: 'user', content: secret(random) }] }],
  (random) => ['/v1/chat/completions', { messages: [{ role: secret(random), content: [secret(random)] }] }],
  (random) => ['/inference/v1/generate', { token_ids: [secret(random)], sampling_params: { stop: [secret(random)] } }],
  (random) => ['/tokenize', { prompt: secret(random) }],
  (random) => ['/inference/v1/abort_requests', { request_ids: [secret(random)] }],
  (random) => [`/${secret(random)}`, {}],
  (random) => [`/v1/completions?api_key=${secret(random)}`, { prompt: secret(random), stream: true }],
];

const FIELDS: readonly ((random: Random) => readonly [name: string, value: unknown])[] = [
  (random) => ['user', secret(random)],
  (random) => ['stop', [secret(random)]],
  (random) => ['suffix', secret(random)],
  (random) => ['temperature', secret(random)],
  (random) => ['logit_bias', { [secret(random)]: 1 }],
  (random) => ['metadata', { [secret(random)]: secret(random) }],
  (random) => ['kv_transfer_params', { remote_host: secret(random), remote_engine_id: secret(random) }],
  (random) => ['tools', [{ type: 'function', function: { name: secret(random) } }]],
  (random) => [secret(random), secret(random)],
  () => ['stream', true],
];
