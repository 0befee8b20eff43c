import { PATHS, samplingOf, withSampling, type Case } from '../cases.js';
import { objectAt, without, type Json } from '../json.js';
import { decodeBody, distinctIds, pathOf, SAYS_MORE } from './edits.js';
import type { Exchange, ExpectedLeg, Wire } from './wire.js';

/**
 * `engine-protocols.md` 4.2, context first. A finish reason of P other than `length` means that its answer is the whole.
 * So is that of a client who wants one token; then what P has committed is freed by a decode for a token.
 */
export const trtllm: Wire = {
  faults: SAYS_MORE,
  answersByPrefill: ({ endsAtFirst }) => endsAtFirst !== undefined,
  settles: ({ endsAtFirst }) => ({ none: 'taken', stop: undefined, length: 'freed' })[endsAtFirst ?? 'none'] as Settles,
  decodes: ({ endsAtFirst }) => (endsAtFirst === 'stop' ? 0 : 1),
  prefill({ request, prefill }) {
    const { body } = request;
    const id = objectAt(prefill.body, 'disaggregated_params')['disagg_request_id'];
    const isEchoOfIds = body['echo'] === true && typeof body['prompt'] !== 'string';
    const edited = { ...without(body, 'stream_options'), stream: false, ...(isEchoOfIds && { logprobs: 0 }) };
    const params = { request_type: 'context_only', disagg_request_id: id };
    return legOf(request, edited, params);
  },
  async decode(exchange) {
    const { request, prefill, texts } = exchange;
    const { api, endsAtFirst, promptIds } = request;
    const params = { ...prefill.handedOver, request_type: 'generation_only' };
    const body = endsAtFirst === 'length' ? oneToken(request) : decodeBody(request);
    const prompts: Readonly<Record<Case['api'], Json>> = {
      completions: { prompt: promptIds },
      chat: { prompt_token_ids: api === 'chat' ? await texts.tokenizeChat(request.body) : [] },
      generate: {},
    };
    return legOf(request, { ...body, ...prompts[api] }, params);
  },
  ids: (exchange) => [...distinctIds(exchange), ...requestIds(exchange)],
};

type Settles = ReturnType<Wire['settles']>;

/** A release: the decode leg, for one token that nobody reads. */
function oneToken(request: Case): Json {
  const body = { ...without(decodeBody(request), 'stream_options'), stream: false };
  return withSampling(request.api, body, (sampling) => ({
    ...without(sampling, 'logprobs', 'top_logprobs', 'min_tokens'),
    max_tokens: 1,
  }));
}

/** Its token endpoint is completions with ids, which are not turned into text. */
function legOf(request: Case, body: Json, disaggregated_params: Json): ExpectedLeg {
  if (request.api !== 'generate') return { path: pathOf(request), body: { ...body, disaggregated_params } };
  const { logprobs, extra_args: _, ...sampling } = samplingOf('generate', body);
  const { stream, stream_options, token_ids, vendor_field, model } = body;
  return {
    path: PATHS.completions,
    body: {
      ...{ vendor_field, model, ...sampling, prompt: token_ids, detokenize: false, stream: stream === true },
      // Here 0 asks for none, there for the chosen token's alone.
      ...(typeof logprobs === 'number' && { logprobs: Math.max(1, logprobs) }),
      ...(stream === true && stream_options !== undefined && { stream_options }),
      disaggregated_params,
    },
  };
}

const used = new Set<unknown>();

/** A large integer, which no double holds. */
function requestIds({ prefill }: Exchange): string[] {
  const id = objectAt(prefill.body, 'disaggregated_params')['disagg_request_id'];
  const digits = typeof id === 'string' ? id.replace('int:', '') : '';
  const isFresh = /^\d{19}$/.test(digits) && BigInt(digits) < 2n ** 63n && !used.has(id);
  used.add(id);
  return isFresh ? [] : [`disagg_request_id ${String(id)} is not a fresh integer of 63 bits`];
}
