import { pause, within } from '../engine/pause.js';
import type { Running } from '../engine/running.js';
import { idsOf, type JsonObject } from '../json.js';
import { contentOf } from '../ledger/kv-content.js';
import type { KvLeg, LoadedKv } from './kv-transfer.js';
import { kvTransferError } from './sglang-prefill.js';
import { schedulerCrash } from './sglang-rooms.js';
import { callSide } from './side-channel.js';
import type { TransferContext } from './transfer-context.js';
import { blocksFromWire } from './wire-blocks.js';

/** The decode's part: comes to the prefill's bootstrap server and waits for the KV. */
export class SglangDecode implements KvLeg {
  readonly leg = 'decode';
  readonly #crash = new AbortController();

  constructor(
    readonly room: string,
    /** Of the prefill's bootstrap server. */
    readonly url: string,
    readonly context: TransferContext,
    readonly counts: Record<string, number>,
    /** Called once when the request is no longer in its room. */
    readonly leave: () => void,
  ) {}

  /** Another request was in the same room. */
  crash(): void {
    this.#crash.abort(schedulerCrash(this.room));
  }

  refused(): void {
    this.leave();
  }

  async load(run: Running): Promise<LoadedKv> {
    const { timeoutMs } = this.context;
    const signal = AbortSignal.any([run.signal, this.#crash.signal]);
    try {
      const cache = await within(timeoutMs, signal, (limited) => this.#take(limited));
      return { content: contentOf(blocksFromWire(cache)), firstTokens: idsOf(cache['first_tokens']) ?? [] };
    } catch (error) {
      signal.throwIfAborted();
      const isTimeout = error instanceof Error && error.message.startsWith('timed out');
      const count = isTimeout ? 'waitingTimeouts' : 'failedTransfers';
      this.counts[count] = (this.counts[count] ?? 0) + 1;
      throw kvTransferError(this.room, error instanceof Error ? error.message : String(error));
    }
  }

  async finished(): Promise<JsonObject> {
    this.leave();
    return { bootstrap_room: this.room };
  }

  async #take(signal: AbortSignal): Promise<JsonObject> {
    const cache = await callSide(`${this.url}/join`, { room: this.room }, signal);
    const { tokens } = contentOf(blocksFromWire(cache));
    await pause((tokens * this.context.transferUsPerToken) / 1_000, signal);
    await callSide(`${this.url}/taken`, { room: this.room }, signal);
    return cache;
  }
}
