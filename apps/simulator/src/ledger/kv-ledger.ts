import { BlockPool } from './block-pool.js';
import { contentOf, foreignContent, type BlockContent, type KvContent } from './kv-content.js';
import { KvLives } from './kv-lives.js';

/** Why blocks are held now. `handoff`: a prefill left them for a decode; `received`: they came before their request. */
export type HoldingState = 'running' | 'loading' | 'handoff' | 'received' | 'slot';

/** Blocks that somebody owes to the pool. */
export interface Holding {
  readonly id: string;
  readonly legId: string;
  readonly blocks: readonly number[];
  readonly tokens: number;
  readonly state: HoldingState;
  readonly sinceMs: number;
  /** `performance.now()`; undefined: held until somebody frees it. */
  readonly leaseEndsAtMs: number | undefined;
}

/** Something that happened to blocks. */
export interface LedgerEvent {
  readonly atMs: number;
  readonly event: 'allocated' | 'grown' | 'held' | 'extended' | 'freed';
  readonly id: string;
  readonly legId: string;
  readonly blocks: number;
  readonly state: HoldingState;
  readonly reason?: string;
}

interface OwnHolding extends Holding {
  blocks: number[];
  tokens: number;
  state: HoldingState;
  leaseEndsAtMs: number | undefined;
  timer?: NodeJS.Timeout;
}

const EVENTS_KEPT = 1_000;

/** Who owes which blocks since when, and what freed them. */
export class KvLedger {
  readonly #pool: BlockPool;
  readonly #held = new Map<string, OwnHolding>();
  readonly #freed = new Map<string, number>();
  readonly #events: LedgerEvent[] = [];
  readonly lives = new KvLives();
  readonly #waiting = new Set<() => void>();

  constructor(
    readonly blocks: number,
    readonly blockTokens: number,
  ) {
    this.#pool = new BlockPool(blocks);
  }

  get blocksFree(): number {
    return this.#pool.free;
  }

  /** How often blocks were freed for `reason`. */
  freedBy(reason: string): number {
    return this.#freed.get(reason) ?? 0;
  }

  blocksFor(tokens: number): number {
    return Math.ceil(tokens / this.blockTokens);
  }

  /** Blocks for `tokens` tokens under a new id; undefined when the pool has not enough. */
  allocate(id: string, legId: string, tokens: number, state: HoldingState = 'running'): Holding | undefined {
    if (this.#held.has(id)) throw new Error(`the ledger holds ${id} already`);
    const blocks = this.#pool.take(this.blocksFor(tokens));
    if (blocks === undefined) return undefined;
    const holding = { id, legId, blocks, tokens, state, sinceMs: performance.now(), leaseEndsAtMs: undefined };
    this.#held.set(id, holding);
    this.lives.began(holding);
    this.#note('allocated', holding);
    return holding;
  }

  /** Room for more tokens. A pool without free blocks goes on without: nothing here is preempted. */
  grow(id: string, tokens: number): void {
    const holding = this.#held.get(id);
    if (holding === undefined) return;
    holding.tokens = Math.max(holding.tokens, tokens);
    const more = this.#pool.take(Math.max(0, this.blocksFor(tokens) - holding.blocks.length)) ?? [];
    if (more.length === 0) return;
    for (const block of more) this.#pool.write(block, foreignContent(block, this.blockTokens));
    holding.blocks.push(...more);
    this.#note('grown', holding, undefined, more.length);
  }

  /** Puts contents into the blocks of a holding, from its first on. */
  write(id: string, contents: readonly BlockContent[]): void {
    const { blocks } = this.#held.get(id) ?? { blocks: [] };
    contents.forEach((content, index) => {
      const block = blocks[index];
      if (block !== undefined) this.#pool.write(block, content);
    });
  }

  /** What is in these blocks now, held or not. */
  blockContents(blocks: readonly number[]): (BlockContent | undefined)[] {
    return blocks.map((block) => this.#pool.read(block));
  }

  /** The cache in the first blocks of a holding, of `tokens` tokens. */
  read(id: string, tokens: number): KvContent {
    const { blocks } = this.#held.get(id) ?? { blocks: [] };
    return contentOf(this.blockContents(blocks.slice(0, this.blocksFor(tokens))));
  }

  find(id: string): Holding | undefined {
    return this.#held.get(id);
  }

  /** Holds on in another state; with a lease, the blocks are freed as `expiredReason` when it ends. */
  hold(id: string, state: HoldingState, leaseMs?: number, expiredReason = 'lease_expired'): void {
    const holding = this.#held.get(id);
    if (holding === undefined) return;
    holding.state = state;
    if (state === 'handoff') this.lives.made(id);
    this.#lease(holding, leaseMs === undefined ? undefined : performance.now() + leaseMs, expiredReason);
    this.#note('held', holding);
  }

  /** A lease that ends in `ms` at the earliest. False when nothing is held under this id. */
  extend(id: string, ms: number, expiredReason = 'lease_expired'): boolean {
    const holding = this.#held.get(id);
    if (holding === undefined) return false;
    this.#lease(holding, Math.max(holding.leaseEndsAtMs ?? 0, performance.now() + ms), expiredReason);
    this.#note('extended', holding);
    return true;
  }

  /** Gives blocks back; false when nothing is held under this id. */
  free(id: string, reason: string): boolean {
    const holding = this.#held.get(id);
    if (holding === undefined) return false;
    clearTimeout(holding.timer);
    this.#held.delete(id);
    this.#pool.give(holding.blocks);
    this.#freed.set(reason, this.freedBy(reason) + 1);
    this.lives.freed(id, reason);
    this.#note('freed', holding, reason);
    for (const wake of [...this.#waiting]) wake();
    return true;
  }

  /** Overwrites what is in blocks that nobody holds any more, as another request would. */
  spoil(blocks: readonly number[]): void {
    const held = new Set([...this.#held.values()].flatMap((holding) => holding.blocks));
    for (const block of blocks) if (!held.has(block)) this.#pool.write(block, foreignContent(block, this.blockTokens));
  }

  /** Calls `wake` whenever blocks were freed, until the returned function is called. */
  onFreed(wake: () => void): () => void {
    this.#waiting.add(wake);
    return () => this.#waiting.delete(wake);
  }

  /** Ends all timers. */
  close(): void {
    for (const { timer } of this.#held.values()) clearTimeout(timer);
  }

  /** What `GET /sim/ledger` answers. */
  snapshot(): object {
    const now = performance.now();
    return {
      blockTokens: this.blockTokens,
      blocksTotal: this.blocks,
      blocksFree: this.#pool.free,
      held: [...this.#held.values()].map(({ id, legId, tokens, blocks, sinceMs, leaseEndsAtMs, state }) => ({
        id,
        legId,
        tokens,
        blocks: blocks.length,
        sinceMs: Math.round(now - sinceMs),
        leaseEndsInMs: leaseEndsAtMs === undefined ? null : Math.round(leaseEndsAtMs - now),
        state,
      })),
      freed: Object.fromEntries(this.#freed),
      handoffs: this.lives.summary(),
      events: this.#events,
    };
  }

  #lease(holding: OwnHolding, endsAtMs: number | undefined, reason: string): void {
    clearTimeout(holding.timer);
    holding.leaseEndsAtMs = endsAtMs;
    if (endsAtMs === undefined) return;
    holding.timer = setTimeout(() => this.free(holding.id, reason), Math.max(0, endsAtMs - performance.now()));
    holding.timer.unref();
  }

  #note(event: LedgerEvent['event'], holding: Holding, reason?: string, blocks = holding.blocks.length): void {
    const { id, legId, state } = holding;
    this.#events.push({ atMs: Date.now(), event, id, legId, blocks, state, ...(reason !== undefined && { reason }) });
    if (this.#events.length > EVENTS_KEPT) this.#events.shift();
  }
}
