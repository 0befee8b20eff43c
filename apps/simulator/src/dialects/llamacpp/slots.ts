import { randomBytes } from 'node:crypto';
import { badRequest } from '../../engine/engine-error.js';
import { untilWoken } from '../../engine/pause.js';
import { blocksOf } from '../../ledger/kv-content.js';
import type { KvLedger } from '../../ledger/kv-ledger.js';

/** A place for one request at a time, which keeps what it has computed. */
export interface Slot {
  readonly id: number;
  isProcessing: boolean;
  /** The tokens in its cache. */
  ids: readonly number[];
  /** What the ledger has for them; undefined: kept, but owed to nobody. */
  holding: string | undefined;
}

/** The slots of a server. Nothing reserves them: whoever names one gets it next. */
export class Slots {
  readonly all: readonly Slot[];
  #waiting = 0;
  readonly #wakes = new Set<() => void>();

  constructor(
    count: number,
    readonly ledger: KvLedger,
  ) {
    this.all = Array.from({ length: count }, (_, id) => ({ id, isProcessing: false, ids: [], holding: undefined }));
  }

  /** Requests that wait for a slot. */
  get waiting(): number {
    return this.#waiting;
  }

  get idle(): number {
    return this.all.filter(({ isProcessing }) => !isProcessing).length;
  }

  /** @throws EngineError 400 when there is no such slot. */
  find(id: number): Slot {
    const slot = this.all[id];
    if (slot === undefined) throw badRequest('Invalid slot ID', 'id_slot');
    return slot;
  }

  /** The slot, or with -1 the one whose cache is most like the prompt, once it is free. */
  async acquire(id: number, promptIds: readonly number[], signal: AbortSignal): Promise<Slot> {
    this.#waiting += 1;
    try {
      for (;;) {
        signal.throwIfAborted();
        const slot = id === -1 ? this.#bestFor(promptIds) : this.find(id);
        if (slot !== undefined && !slot.isProcessing) {
          slot.isProcessing = true;
          return slot;
        }
        await untilWoken((wake) => {
          this.#wakes.add(wake);
          return () => this.#wakes.delete(wake);
        }, signal);
      }
    } finally {
      this.#waiting -= 1;
    }
  }

  release(slot: Slot): void {
    slot.isProcessing = false;
    for (const wake of [...this.#wakes]) wake();
  }

  /** Empties a slot. */
  clear(slot: Slot, reason: string): void {
    slot.ids = [];
    if (slot.holding !== undefined) this.ledger.free(slot.holding, reason);
    slot.holding = undefined;
  }

  /** Puts tokens into a slot, as a restore does. False when there is no room for them. */
  fill(slot: Slot, ids: readonly number[]): boolean {
    this.clear(slot, 'slot_restored');
    const holding = `slot-${slot.id}-${randomBytes(4).toString('hex')}`;
    if (this.ledger.allocate(holding, `slot-${slot.id}`, ids.length, 'slot') === undefined) return false;
    this.ledger.write(holding, blocksOf(ids, this.ledger.blockTokens));
    slot.ids = ids;
    slot.holding = holding;
    return true;
  }

  /** Slots that are owed to somebody come last. */
  #bestFor(promptIds: readonly number[]): Slot | undefined {
    const likeness = (slot: Slot): number => commonPrefix(slot.ids, promptIds) - (slot.holding === undefined ? 0 : 1e9);
    return this.all.filter(({ isProcessing }) => !isProcessing).sort((a, b) => likeness(b) - likeness(a))[0];
  }
}

/** How many tokens two lists begin with in common. */
export function commonPrefix(a: readonly number[], b: readonly number[]): number {
  const end = Math.min(a.length, b.length);
  for (let at = 0; at < end; at++) if (a[at] !== b[at]) return at;
  return end;
}
