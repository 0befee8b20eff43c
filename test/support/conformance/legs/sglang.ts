import { samplingOf } from '../cases.js';
import { listAt, without, type Json } from '../json.js';
import { decodeBody, distinctIds, pathOf } from './edits.js';
import type { Exchange, SeenLeg, Wire } from './wire.js';

/** `engine-protocols.md` 4.1. Both sides get the same body at once, limits included, and meet in a fresh room. */
export const sglang: Wire = {
  answersByPrefill: () => false,
  settles: () => 'taken',
  decodes: () => 1,
  prefill({ request, prefill, sides }) {
    const { api, body } = request;
    const meeting = meetingOf(sides.prefill.port('bootstrapPort'), prefill);
    if (api === 'generate') return native(body, false, prefill, meeting);
    const isEchoOfIds = body['echo'] === true && typeof body['prompt'] !== 'string';
    const edited = { ...without(body, 'stream_options'), stream: false, ...(isEchoOfIds && { logprobs: 0 }) };
    return { path: pathOf(request), body: { ...edited, rid: idOf(prefill), ...meeting } };
  },
  decode({ request, prefill, decode, sides }) {
    const meeting = meetingOf(sides.prefill.port('bootstrapPort'), prefill);
    const body = decodeBody(request);
    if (request.api === 'generate') return native(body, request.stream, decode, meeting);
    return { path: pathOf(request), body: { ...body, rid: idOf(decode), ...meeting } };
  },
  ids: (exchange) => [...distinctIds(exchange), ...roomIds(exchange)],
};

const idOf = (leg: SeenLeg | undefined): unknown => leg?.headers['x-request-id'];

/** The room is Baton's: P's is taken, and D's must be the same. */
const meetingOf = (port: number, prefill: SeenLeg): Json => ({
  bootstrap_host: '127.0.0.1',
  bootstrap_port: port,
  bootstrap_room: prefill.body['bootstrap_room'],
});

/** SGLang's token endpoint is `/generate`, with names of its own. */
function native(body: Json, stream: boolean, leg: SeenLeg | undefined, meeting: Json): { path: string; body: Json } {
  const { max_tokens, min_tokens, seed, logprobs, prompt_logprobs, ...others } = samplingOf('generate', body);
  const asks = [logprobs, prompt_logprobs].filter((count) => typeof count === 'number');
  return {
    path: '/generate',
    body: {
      vendor_field: body['vendor_field'],
      input_ids: listAt(body, 'token_ids'),
      sampling_params: {
        ...without(others, 'extra_args'),
        max_new_tokens: max_tokens,
        ...(min_tokens !== undefined && { min_new_tokens: min_tokens }),
        ...(seed !== undefined && { sampling_seed: seed }),
      },
      ...(asks.length > 0 && { return_logprob: true, top_logprobs_num: Math.max(...asks) }),
      ...(prompt_logprobs !== undefined && { logprob_start_len: 0 }),
      stream,
      rid: idOf(leg),
      ...meeting,
    },
  };
}

const used = new Set<unknown>();

/** Below 2^53, so that every JSON reader keeps its digits; 0 is the room of SGLang's own health checks. */
function roomIds({ prefill }: Exchange): string[] {
  const room = prefill.body['bootstrap_room'];
  const isFresh = typeof room === 'number' && Number.isSafeInteger(room) && room > 0 && !used.has(room);
  used.add(room);
  return isFresh ? [] : [`bootstrap_room ${String(room)} is not a fresh integer below 2^53`];
}
