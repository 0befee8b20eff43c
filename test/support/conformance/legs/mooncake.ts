import { without, type Json } from '../json.js';
import { decodeBody, distinctIds, paramsOf, pathOf, prefillBody, withParams } from './edits.js';
import { withSampling } from '../cases.js';
import type { Exchange, Wire } from './wire.js';

/** `engine-protocols.md` 3.3. P returns nothing; it keeps its KV only when its limit ended it (#46008). */
export const mooncake: Wire = {
  answersByPrefill: () => false,
  settles: () => 'taken',
  decodes: () => 1,
  // Where P has several ranks, one of them is chosen and named on both legs.
  flags: (manager) => (manager === 'prefill-remote-decode-remote' ? { 'data-parallel-size': 3 } : NONE),
  async prefill(exchange) {
    const { request, decode } = exchange;
    const neutral = withSampling(request.api, prefillBody(request), (sampling) => ({
      ...without(sampling, 'stop', 'stop_token_ids'),
      ignore_eos: true,
    }));
    const params = { do_remote_decode: true, do_remote_prefill: false, transfer_id: transferIdOf(exchange) };
    const ranks = await ranksOf(exchange);
    const rank = ranks.indexOf(paramsOf(decode?.body ?? {})['remote_engine_id']);
    return {
      path: pathOf(request),
      body: withParams(request, neutral, params),
      headers: ranks.length > 1 ? { 'x-data-parallel-rank': String(rank) } : NONE,
    };
  },
  async decode(exchange) {
    const { request, decode } = exchange;
    const ranks = await ranksOf(exchange);
    const told = paramsOf(decode?.body ?? {})['remote_engine_id'];
    const params = {
      do_remote_decode: false,
      do_remote_prefill: true,
      remote_bootstrap_addr: bootstrapOf(exchange),
      remote_engine_id: ranks.includes(told) ? told : ranks[0],
      transfer_id: transferIdOf(exchange),
    };
    return { path: pathOf(request), body: withParams(request, decodeBody(request), params) };
  },
  ids: (exchange) => [...distinctIds(exchange), ...transferIds(exchange)],
};

const NONE: Readonly<Record<string, string>> = {};

const bootstrapOf = ({ sides }: Exchange): string => `http://127.0.0.1:${sides.prefill.port('bootstrapPort')}`;

/** The engine ids of P's ranks, in their order. */
async function ranksOf(exchange: Exchange): Promise<readonly unknown[]> {
  const ranks = (await (await fetch(`${bootstrapOf(exchange)}/query`)).json()) as Record<string, { engine_id: string }>;
  return Object.keys(ranks).map((rank) => ranks[rank]?.engine_id);
}

/** Baton has made it up: P's is taken, and D's must be the same. */
const transferIdOf = ({ prefill }: Exchange): unknown => paramsOf(prefill.body)['transfer_id'];

const used = new Set<unknown>();

function transferIds({ prefill }: Exchange): string[] {
  const id: Json[string] = paramsOf(prefill.body)['transfer_id'];
  const isFresh = typeof id === 'string' && id !== '' && !used.has(id);
  used.add(id);
  return isFresh ? [] : [`transfer_id ${String(id)} is not a fresh one`];
}
