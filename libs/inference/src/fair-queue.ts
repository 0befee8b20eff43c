/**
 * What waits, fair between its owners: they are served in turn, and each in the order in which it came. Not bounded by
 * itself: who adds asks for {@link size} before.
 */
export class FairQueue<Item> {
  /** By owner; the owner whose turn it is comes first, and so does what it added first. */
  readonly #queues = new Map<string, Set<Item>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** All that waits, the next one first among those of its owner. */
  *[Symbol.iterator](): Iterator<Item> {
    for (const queue of this.#queues.values()) yield* queue;
  }

  add(owner: string, item: Item): void {
    const queue = this.#queues.get(owner) ?? new Set();
    this.#queues.set(owner, queue.add(item));
    this.#size += 1;
  }

  /** Takes out one that has left. Does nothing when it is not there. */
  remove(owner: string, item: Item): void {
    const queue = this.#queues.get(owner);
    if (queue?.delete(item) !== true) return;
    this.#size -= 1;
    if (queue.size === 0) this.#queues.delete(owner);
  }

  /** Takes out the next one that can be served; undefined when there is none. Its owner's next turn is after all others'. */
  take(canServe: (item: Item) => boolean = () => true): Item | undefined {
    for (const [owner, queue] of this.#queues) {
      for (const item of queue) {
        if (!canServe(item)) continue;
        this.remove(owner, item);
        if (queue.size > 0) {
          this.#queues.delete(owner);
          this.#queues.set(owner, queue);
        }
        return item;
      }
    }
    return undefined;
  }

  /** Takes out what came last of the owner with the most, when that has at least two more than `owner` has. */
  takeSurplus(owner: string): Item | undefined {
    const own = this.#queues.get(owner)?.size ?? 0;
    let longest: { readonly owner: string; readonly queue: Set<Item> } | undefined;
    for (const [name, queue] of this.#queues) {
      if (queue.size > (longest?.queue.size ?? own + 1)) longest = { owner: name, queue };
    }
    if (longest === undefined) return undefined;
    const latest = [...longest.queue].at(-1);
    if (latest !== undefined) this.remove(longest.owner, latest);
    return latest;
  }
}
