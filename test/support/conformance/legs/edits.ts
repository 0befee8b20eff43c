/** The edits of legs that protocols have in common. Reference: `engine-protocols.md` 3.10. */
import { PATHS, withSampling, type Case } from '../cases.js';
import { objectAt, without, type Json } from '../json.js';
import type { Exchange } from './wire.js';

/** What a protocol does otherwise than the table says. */
export interface PrefillRules {
  /** P's token is, or begins, the client's answer: it needs what the client wants to know of it. */
  readonly tokenCounts?: boolean;
}

/** The body of a prefill leg: one token, one choice, not streamed, nothing that only a longer answer can have. */
export function prefillBody({ api, body }: Case, { tokenCounts = false }: PrefillRules = {}): Json {
  const unstreamed = { ...without(body, 'stream_options'), stream: false };
  return withSampling(api, unstreamed, (sampling) => {
    // An echo is cut out of P's text by its logprobs, and begins with those of the prompt.
    const echoes = body['echo'] === true;
    const isText = typeof body['prompt'] === 'string';
    const keepsLogprobs = tokenCounts || echoes;
    const kept = without(sampling, 'min_tokens', ...(keepsLogprobs ? [] : ['logprobs', 'top_logprobs']));
    return {
      ...kept,
      max_tokens: 1,
      ...('max_completion_tokens' in sampling && { max_completion_tokens: 1 }),
      ...('n' in sampling && { n: 1 }),
      ...(tokenCounts && Number(sampling['min_tokens'] ?? 0) > 0 && { min_tokens: 1 }),
      ...(echoes && !isText && { logprobs: sampling['logprobs'] ?? 0 }),
    };
  });
}

/** The body of a decode leg: the client's own values, but for what D crashes over (vLLM #50792, #27449). */
export function decodeBody({ api, body }: Case): Json {
  return withSampling(api, body, (sampling) => without(sampling, 'prompt_logprobs', 'echo'));
}

/** `kv_transfer_params`; in both places of the token endpoint (2.5). */
export function withParams({ api }: Case, body: Json, params: unknown): Json {
  const top = { ...body, kv_transfer_params: params };
  if (api !== 'generate') return top;
  return withSampling(api, top, (sampling) => ({
    ...sampling,
    extra_args: { ...objectAt(sampling, 'extra_args'), kv_transfer_params: params },
  }));
}

/** The `kv_transfer_params` that a leg was sent with. */
export const paramsOf = (body: Json): Json => objectAt(body, 'kv_transfer_params');

/** vLLM's path of an api. */
export const pathOf = ({ api }: Case): string => PATHS[api];

/** Ids that were made for each leg: neither is the other's, nor its beginning. */
export function distinctIds({ prefill, decode }: Exchange): string[] {
  if (decode === undefined) return [];
  const [p, d] = [prefill.headers['x-request-id'] ?? '', decode.headers['x-request-id'] ?? ''];
  return p.startsWith(d) || d.startsWith(p) ? [`x-request-id: ${p} and ${d} are one, or one begins the other`] : [];
}

/** P hands over more than is known of its protocol; and so does D, to whom nobody listens (2.4). */
export const SAYS_MORE = [{ kind: 'extra_params', params: { vendor_kv: { deep: [1, { x: null }], text: 'ä' } } }];
