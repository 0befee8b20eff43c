import { randomBytes } from 'node:crypto';
import { badRequest, EngineError } from '../engine/engine-error.js';
import { pause } from '../engine/pause.js';
import type { RunEnd, Running } from '../engine/running.js';
import { faultOf } from '../http/request-record.js';
import { idsOf, isObject, parseJson, stringOf, type JsonObject } from '../json.js';
import { contentOf } from '../ledger/kv-content.js';
import type { KvLeg, KvRequest, KvTransfer, LoadedKv } from './kv-transfer.js';
import { misreported } from './misreported.js';
import { callSide, SideChannel } from './side-channel.js';
import type { TransferContext } from './transfer-context.js';
import { blocksFromWire, blocksToWire } from './wire-blocks.js';

/**
 * TensorRT-LLM's context and generation servers, context first: a context request computes, commits its KV and says in
 * its answer where it is; a generation request takes it. Committed KV is freed by that, or when
 * `kv_transfer_timeout_ms` (here the lease) ends; an abort does nothing to it (dynamo #14507).
 */
export class TrtCommitTransfer implements KvTransfer {
  readonly name = 'trtllm';
  readonly counts: Record<string, number> = { committed: 0, taken: 0, unknownRequests: 0, failedTransfers: 0 };
  readonly #channel: SideChannel;
  /** What was committed, by its `ctx_request_id` in digits. */
  readonly #committed = new Map<string, { readonly legId: string; readonly promptTokens: number }>();
  #port = 0;

  constructor(readonly context: TransferContext) {
    this.#channel = new SideChannel({
      'POST /take': (body) => this.#give(stringOf(body['ctx_request_id']) ?? ''),
      'POST /taken': (body) => this.#free(stringOf(body['ctx_request_id']) ?? ''),
    });
  }

  get addresses(): JsonObject {
    return { kvPort: this.#port, kvHost: this.context.advertisedHost };
  }

  async start(): Promise<void> {
    this.#port = await this.#channel.listen(this.context.kvPort, this.context.host);
  }

  close(): Promise<void> {
    return this.#channel.close();
  }

  /** `params` are the `disaggregated_params`. */
  legFor({ params }: KvRequest): KvLeg | undefined {
    const type = params?.['request_type'] ?? 'context_and_generation';
    if (params === undefined || type === 'context_and_generation') return undefined;
    if (type === 'context_only')
      return { leg: 'prefill', finished: async (run, end) => this.#commit(run, end, params) };
    if (type !== 'generation_only')
      throw badRequest(`Unknown request_type ${JSON.stringify(type)}.`, 'disaggregated_params');
    return { leg: 'decode', load: (run) => this.#load(run, params) };
  }

  /** A first token that ends the answer is no reason to keep anything; a limit is, also that of one token. */
  #commit(run: Running, end: RunEnd, params: JsonObject): JsonObject | undefined {
    const { record } = run.job;
    if (end !== 'length' || faultOf(record, 'null_params') !== undefined) return undefined;
    const id = freshId();
    run.keep(this.context.leaseMs, 'kv_transfer_timeout');
    this.#committed.set(`${id}`, { legId: run.legId, promptTokens: run.promptTokens });
    this.#count('committed');
    const { advertisedHost: host } = this.context;
    const state = { url: `http://${host.includes(':') ? `[${host}]` : host}:${this.#port}` };
    return misreported(record, {
      ...params,
      first_gen_tokens: faultOf(record, 'missing_first_token') === undefined ? run.firstTokens.slice(0, 1) : null,
      first_gen_log_probs: null,
      first_gen_logits: null,
      ctx_request_id: id,
      encoded_opaque_state: Buffer.from(JSON.stringify(state)).toString('base64'),
      draft_tokens: null,
      ctx_dp_rank: run.job.rank,
      ctx_info_endpoint: null,
      schedule_style: params['schedule_style'] ?? 'context_first',
    });
  }

  #give(id: string): JsonObject {
    const { ledger } = this.context;
    const committed = this.#committed.get(id);
    const held = ledger.find(committed?.legId ?? '');
    if (committed === undefined || held === undefined) {
      this.#count('unknownRequests');
      this.#committed.delete(id);
      return { known: false };
    }
    const inPrompt = held.blocks.slice(0, ledger.blocksFor(committed.promptTokens));
    return { known: true, ...blocksToWire(ledger.blockContents(inPrompt)) };
  }

  #free(id: string): JsonObject {
    const legId = this.#committed.get(id)?.legId ?? '';
    this.#committed.delete(id);
    this.#count('taken');
    return { freed: this.context.ledger.free(legId, 'taken') };
  }

  /** The generation server gives the first token itself, without computing it. */
  async #load(run: Running, params: JsonObject): Promise<LoadedKv> {
    const { ctx_request_id: id, first_gen_tokens: first, encoded_opaque_state: state } = params;
    const digits = typeof id === 'bigint' || typeof id === 'number' ? `${id}` : undefined;
    const [url, firstTokens] = [urlIn(stringOf(state)), idsOf(first)];
    if (digits === undefined || url === undefined || firstTokens === undefined)
      throw new EngineError(500, 'Invalid disaggregated_params of a generation_only request', 'disaggregated_params');
    try {
      const cache = await callSide(`${url}/take`, { ctx_request_id: digits }, run.signal);
      if (cache['known'] !== true) throw new Error(`context request ${digits} is not known there`);
      const content = contentOf(blocksFromWire(cache));
      await pause((content.tokens * this.context.transferUsPerToken) / 1_000, run.signal);
      await callSide(`${url}/taken`, { ctx_request_id: digits }, run.signal);
      return { content, firstTokens };
    } catch (error) {
      run.signal.throwIfAborted();
      this.#count('failedTransfers');
      throw new EngineError(500, `KV cache transfer failed: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #count(name: string): void {
    this.counts[name] = (this.counts[name] ?? 0) + 1;
  }
}

/** 63 bits, the highest of them set: no double holds it. The lowest is too, so that no double comes near. */
const freshId = (): bigint => BigInt.asUintN(62, randomBytes(8).readBigUInt64BE()) | (1n << 62n) | 1n;

/** Where a committed cache is, from the opaque state that P has written. */
function urlIn(state: string | undefined): string | undefined {
  try {
    const read = parseJson(Buffer.from(state ?? '', 'base64').toString('utf8'));
    return isObject(read) ? stringOf(read['url']) : undefined;
  } catch {
    return undefined;
  }
}
