import { eosPosition } from '../engine/answer-tokens.js';
import { Choice } from '../engine/choice.js';
import { EngineError } from '../engine/engine-error.js';
import { within } from '../engine/pause.js';
import type { RunEnd, Running } from '../engine/running.js';
import { faultOf } from '../http/request-record.js';
import type { JsonObject } from '../json.js';
import type { KvLedger } from '../ledger/kv-ledger.js';
import type { KvLeg } from './kv-transfer.js';
import type { SglangRooms } from './sglang-rooms.js';
import type { TransferContext } from './transfer-context.js';
import { blocksToWire } from './wire-blocks.js';

/** The prefill's part: waits for its decode, computes, and answers when the decode has the KV. */
export class SglangPrefill implements KvLeg {
  readonly leg = 'prefill';
  #entered = false;

  constructor(
    readonly room: string,
    readonly rooms: SglangRooms,
    readonly context: TransferContext,
    readonly counts: Record<string, number>,
  ) {}

  async beforePrefill(run: Running): Promise<void> {
    this.rooms.enter(this.room);
    this.#entered = true;
    await this.#wait(run, 'Bootstrapping', (signal) => this.rooms.joined(this.room, signal));
  }

  /** The transfer has the first token with it: the decode does not compute it again. */
  async afterPrefill(run: Running): Promise<void> {
    const { ledger } = this.context;
    const blocks = ledger.find(run.legId)?.blocks ?? [];
    const contents = ledger.blockContents(blocks.slice(0, ledger.blocksFor(run.promptTokens)));
    const first = faultOf(run.job.record, 'missing_first_token') === undefined ? firstTokenOf(run, ledger) : [];
    const cache = { ...blocksToWire(contents), first_tokens: first };
    ledger.lives.made(run.legId);
    await this.#wait(run, 'Transferring', (signal) => this.rooms.hand(this.room, cache, signal));
  }

  /** A prefill that is aborted while its decode reads leaves its KV behind (dynamo #14775). */
  async finished(run: Running, end: RunEnd): Promise<JsonObject> {
    if (end === 'abort' && this.rooms.isTransferring(this.room)) {
      this.counts['leaked'] = (this.counts['leaked'] ?? 0) + 1;
      run.keep(this.context.timeoutMs, 'leak_timeout');
    }
    if (this.#entered) this.rooms.leave(this.room);
    return { bootstrap_room: this.room };
  }

  async #wait(run: Running, state: string, wait: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { timeoutMs } = this.context;
    try {
      await within(timeoutMs, run.signal, wait);
    } catch (error) {
      run.signal.throwIfAborted();
      if (error instanceof EngineError) throw error;
      this.counts['bootstrapTimeouts'] = (this.counts['bootstrapTimeouts'] ?? 0) + 1;
      throw kvTransferError(
        this.room,
        `Request ${run.job.id} timed out after ${timeoutMs / 1_000}s in KVPoll.${state}`,
      );
    }
  }
}

/** A transfer failed, in the words that a client sees. */
export const kvTransferError = (room: string, message: string): EngineError =>
  new EngineError(500, `KVTransferError(bootstrap_room=${room}): ${message}`);

/** What the answer begins with. */
function firstTokenOf({ job, legId, promptTokens }: Running, ledger: KvLedger): readonly number[] {
  const eosAt = faultOf(job.record, 'eos_first') === undefined ? eosPosition(job.promptIds) : 0;
  const start = { cache: ledger.read(legId, promptTokens).digest, eosAt, firstTokens: [] };
  return new Choice(0, job.sampling, start).next().tokenIds;
}
