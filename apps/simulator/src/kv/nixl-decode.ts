import { Gone, kvLoadFailed } from '../engine/engine-error.js';
import { pause } from '../engine/pause.js';
import type { RunEnd, Running } from '../engine/running.js';
import { faultOf } from '../http/request-record.js';
import { isInteger, numberOf, stringOf, type JsonObject } from '../json.js';
import { contentOf } from '../ledger/kv-content.js';
import type { KvLeg, LoadedKv } from './kv-transfer.js';
import { callSide } from './side-channel.js';
import { compatOf, type TransferContext } from './transfer-context.js';
import { blocksFromWire } from './wire-blocks.js';

/** Where a prefill left its cache. */
export interface NixlDescriptor {
  readonly engineId: string;
  readonly requestId: string;
  readonly url: string;
  readonly blockIds: readonly number[];
}

/** Undefined when a key is missing without which the cache cannot be found. */
export function readDescriptor(params: JsonObject): NixlDescriptor | undefined {
  const [engineId, requestId] = [stringOf(params['remote_engine_id']), stringOf(params['remote_request_id'])];
  const [host, port] = [stringOf(params['remote_host']), numberOf(params['remote_port'])];
  const blocks = params['remote_block_ids'];
  if (engineId === undefined || requestId === undefined || host === undefined || port === undefined) return undefined;
  if (!Array.isArray(blocks)) return undefined;
  // One list for each group of layers, or, from older servers, one list.
  const group: unknown = Array.isArray(blocks[0]) ? blocks[0] : blocks;
  const blockIds = Array.isArray(group) ? group.filter(isInteger) : [];
  return { engineId, requestId, url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`, blockIds };
}

/** The decode's part: heartbeats while it waits, reads, notifies. */
export class NixlDecode implements KvLeg {
  readonly leg = 'decode';
  #heartbeats: NodeJS.Timeout | undefined;
  #notified = false;

  constructor(
    readonly from: NixlDescriptor,
    readonly tellsRefusals: boolean,
    readonly context: TransferContext,
    readonly counts: { failedTransfers: number },
    readonly met: Set<string>,
  ) {
    // The lease is kept up from the moment on in which the request is in the scheduler's hands.
    this.#heartbeats = setInterval(() => void this.#tell('heartbeat', {}), context.heartbeatMs);
    this.#heartbeats.unref();
  }

  refused(by: 'validation' | 'admission' | 'client'): void {
    clearInterval(this.#heartbeats);
    if (by === 'client') void this.#notify('decode_aborted');
    else if (this.tellsRefusals) void this.#notify('decode_refused');
  }

  async load(run: Running): Promise<LoadedKv> {
    const { context, from } = this;
    try {
      // A read that has begun cannot be taken back: blocks on both sides are settled when it is over.
      await this.#meet();
      const answer = await callSide(`${from.url}/read`, { block_ids: from.blockIds });
      const content = contentOf(blocksFromWire(answer));
      await pause((content.tokens * context.transferUsPerToken) / 1_000, new AbortController().signal);
      run.signal.throwIfAborted();
      await this.#notify('pulled');
      return { content };
    } catch (error) {
      if (error instanceof Gone) throw error;
      this.counts.failedTransfers += 1;
      context.log('kv load failed', { error: String(error) });
      await this.#notify('decode_failed');
      throw kvLoadFailed();
    }
  }

  async finished(run: Running, end: RunEnd): Promise<JsonObject | undefined> {
    await this.#notify(end === 'abort' ? 'decode_aborted' : 'decode_failed');
    return faultOf(run.job.record, 'extra_params')?.params;
  }

  /** The first contact of two servers takes a handshake. */
  async #meet(): Promise<void> {
    const { context, from } = this;
    if (this.met.has(from.engineId)) return;
    await pause(context.handshakeMs, new AbortController().signal);
    const { known, compat } = await callSide(`${from.url}/handshake`, { engine_id: from.engineId });
    if (known !== true) throw new Error(`${from.url} is not engine ${from.engineId}`);
    if (compat !== compatOf(context)) throw new Error(`${from.url} has other caches: ${String(compat)}`);
    this.met.add(from.engineId);
  }

  /** Tells the prefill that its blocks are no longer needed; once. */
  async #notify(reason: string): Promise<void> {
    clearInterval(this.#heartbeats);
    if (this.#notified) return;
    this.#notified = true;
    await this.#tell('notify', { reason });
  }

  async #tell(what: 'notify' | 'heartbeat', facts: JsonObject): Promise<void> {
    const { requestId, url } = this.from;
    await callSide(`${url}/${what}`, { request_id: requestId, ...facts }).catch((error: unknown) =>
      this.context.log(`${what} failed`, { error: String(error) }),
    );
  }
}
