/** What became of one KV cache: an entry of `GET /sim/kv`. Times are `Date.now()`. */
export interface KvLife {
  /** Inside of the engine; a request's record has it among its `legIds`. */
  readonly id: string;
  readonly legId: string;
  readonly allocatedAtMs: number;
  /** From then on it was there for a decode; undefined when it was never handed over. */
  madeAtMs?: number;
  freedAtMs?: number;
  freedBy?: string;
}

/** How long caches were there for a decode, by what freed them. */
export interface HandoffTimes {
  readonly count: number;
  readonly medianMs: number;
  readonly worstMs: number;
}

const LIVES_KEPT = 20_000;

/** The lives of all caches, oldest first. */
export class KvLives {
  readonly #lives = new Map<string, KvLife>();

  get all(): readonly KvLife[] {
    return [...this.#lives.values()];
  }

  /** Forgets those that have ended. */
  forgetEnded(): void {
    for (const [id, { freedAtMs }] of this.#lives) if (freedAtMs !== undefined) this.#lives.delete(id);
  }

  began({ id, legId }: Pick<KvLife, 'id' | 'legId'>): void {
    const [oldest] = this.#lives.keys();
    if (oldest !== undefined && this.#lives.size >= LIVES_KEPT) this.#lives.delete(oldest);
    this.#lives.set(id, { id, legId, allocatedAtMs: Date.now() });
  }

  /** It is there for a decode; said again, it changes nothing. */
  made(id: string): void {
    const life = this.#lives.get(id);
    if (life !== undefined) life.madeAtMs ??= Date.now();
  }

  freed(id: string, reason: string): void {
    const life = this.#lives.get(id);
    if (life === undefined) return;
    life.freedAtMs = Date.now();
    life.freedBy = reason;
  }

  /** What `GET /sim/ledger` says of caches that were there for a decode. */
  summary(): object {
    const handoffs = this.all.filter(({ madeAtMs }) => madeAtMs !== undefined);
    const byReason = new Map<string, number[]>();
    for (const { madeAtMs = 0, freedAtMs, freedBy } of handoffs) {
      if (freedAtMs === undefined || freedBy === undefined) continue;
      const times = byReason.get(freedBy) ?? [];
      times.push(freedAtMs - madeAtMs);
      byReason.set(freedBy, times);
    }
    return {
      open: handoffs.filter(({ freedAtMs }) => freedAtMs === undefined).length,
      freed: Object.fromEntries([...byReason].map(([reason, times]) => [reason, timesOf(times)])),
    };
  }
}

function timesOf(unsorted: readonly number[]): HandoffTimes {
  const times = [...unsorted].sort((a, b) => a - b);
  return { count: times.length, medianMs: times[times.length >> 1] ?? 0, worstMs: times.at(-1) ?? 0 };
}
