import { withSampling, type Case } from '../cases.js';
import { isJson, listAt, type Json } from '../json.js';
import { decodeBody, distinctIds, pathOf, prefillBody, withParams } from './edits.js';
import type { Exchange, Wire } from './wire.js';

/**
 * `engine-protocols.md` 3.7. P tells its first token, which is the client's; D goes on behind it, without params. Where
 * D has to see the answer from its beginning, it gets the client's own request.
 */
export const lmcache: Wire = {
  answersByPrefill: ({ endsAtFirst }) => endsAtFirst !== undefined,
  settles: () => undefined,
  decodes: ({ endsAtFirst }) => (endsAtFirst === undefined ? 1 : 0),
  async prefill({ request, prefill, sides }) {
    const body = withPromptIds(request, prefillBody(request, { tokenCounts: true }));
    const port = sides.decode.port('kvPort');
    const params = {
      ret_first_tok: true,
      disagg_spec: {
        req_id: prefill.headers['x-request-id'],
        receiver_host: '127.0.0.1',
        receiver_init_port: [port],
        receiver_alloc_port: [port + 100],
      },
    };
    return { path: pathOf(request), body: withParams(request, body, params) };
  },
  async decode(exchange) {
    const { request } = exchange;
    const body = withPromptIds(request, decodeBody(request));
    return { path: pathOf(request), body: seesFromBeginning(request) ? body : await continued(exchange, body) };
  },
  ids: distinctIds,
  leavesInCache: true,
};

/**
 * A stop string may begin in the first token, a tool call is read as a whole, an echo comes before it; and the ids of the
 * prompt are not those of the prompt with a token of the answer.
 */
function seesFromBeginning({ body }: Case): boolean {
  return ['stop', 'tools', 'echo', 'return_token_ids'].some((field) => field in body);
}

/** The proxy tokenizes, so that both sides look for the same tokens. */
function withPromptIds({ api, promptIds }: Case, body: Json): Json {
  return api === 'completions' && promptIds !== undefined ? { ...body, prompt: promptIds } : body;
}

async function continued({ request, prefill, texts }: Exchange, body: Json): Promise<Json> {
  const { api, promptIds = [] } = request;
  const first = Number(prefill.handedOver?.['first_tok']);
  const said = await texts.detokenize([first]);
  const prompts: Readonly<Record<Case['api'], Json>> = {
    completions: { prompt: [...promptIds, first] },
    generate: { token_ids: [...promptIds, first] },
    chat: {
      messages: [...listAt(body, 'messages').filter(isJson), { role: 'assistant', content: said }],
      add_generation_prompt: false,
      continue_final_message: true,
    },
  };
  return withSampling(api, { ...body, ...prompts[api] }, (sampling) => {
    const limits = ['max_tokens', 'max_completion_tokens', 'min_tokens'].filter((name) => name in sampling);
    // What vLLM gives completions that do not say.
    const filled: Json = api === 'completions' ? { max_tokens: 16, ...sampling } : sampling;
    const less = [...new Set([...limits, ...(api === 'completions' ? ['max_tokens'] : [])])];
    return { ...filled, ...Object.fromEntries(less.map((name) => [name, Number(filled[name]) - 1])) };
  });
}
