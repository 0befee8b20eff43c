import { digestOf } from '../../engine/prefix-hash.js';
import type { RunEnd, Running } from '../../engine/running.js';
import type { KvLeg, LoadedKv } from '../../kv/kv-transfer.js';
import { commonPrefix, type Slot, type Slots } from './slots.js';

/** A request's time in a slot: it takes over what the slot has of its prompt, and leaves what it has computed. */
export class SlotLeg implements KvLeg {
  readonly leg = 'none';
  #slot: Slot | undefined;
  #isComputed = false;

  constructor(
    readonly slots: Slots,
    /** -1: any. */
    readonly wanted: number,
    readonly cachePrompt: boolean,
  ) {}

  /** -1 as long as it waits for one. */
  get slotId(): number {
    return this.#slot?.id ?? -1;
  }

  async beforePrefill(run: Running): Promise<void> {
    this.#slot = await this.slots.acquire(this.wanted, run.job.promptIds, run.signal);
  }

  /** The last token of a prompt is always computed: its successor comes of it. */
  async load(run: Running): Promise<LoadedKv | undefined> {
    const slot = this.#slot;
    if (slot === undefined) return undefined;
    const { promptIds } = run.job;
    const common = this.cachePrompt ? Math.min(commonPrefix(slot.ids, promptIds), promptIds.length - 1) : 0;
    this.slots.clear(slot, 'slot_reused');
    if (common === 0) return undefined;
    return { content: { tokens: common, digest: digestOf(promptIds.slice(0, common)) } };
  }

  async afterPrefill(): Promise<void> {
    this.#isComputed = true;
  }

  /** Who named a slot comes back for it, so its blocks are owed; the others' are a cache. */
  async finished(run: Running, end: RunEnd): Promise<undefined> {
    const slot = this.#slot;
    if (slot === undefined) return;
    if (this.#isComputed && end !== 'failed') {
      slot.ids = [...run.job.promptIds, ...run.firstTokens];
      if (this.wanted !== -1) {
        run.keep();
        this.slots.ledger.hold(run.legId, 'slot');
        slot.holding = run.legId;
      }
    }
    this.slots.release(slot);
  }
}
