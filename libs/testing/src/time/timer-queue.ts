interface Timer {
  readonly id: number;
  readonly run: () => void;
  readonly everyMs: number | undefined;
  dueMs: number;
}

/** What `setTimeout` returns; Node's own functions pass it over when it is cleared after virtual time has ended. */
class VirtualTimer {
  constructor(
    private readonly id: number,
    private readonly queue: TimerQueue,
  ) {}
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
  hasRef(): boolean {
    return true;
  }
  refresh(): this {
    this.queue.refresh(this.id);
    return this;
  }
  close(): this {
    this.queue.clear(this);
    return this;
  }
  [Symbol.toPrimitive](): number {
    return this.id;
  }
  [Symbol.dispose](): void {
    this.queue.clear(this);
  }
}

type Callback = (...args: unknown[]) => unknown;
type Patch = readonly [target: object, name: string, value: unknown];

/** The timers that are set, and what time it is for them. */
export class TimerQueue {
  readonly thrown: unknown[] = [];
  readonly #timers = new Map<number, Timer & { delayMs: number }>();
  #elapsedMs = 0;
  #ids = 0;

  get elapsedMs(): number {
    return this.#elapsedMs;
  }

  get size(): number {
    return this.#timers.size;
  }

  /** Puts this queue behind the functions of the process. @returns what puts those back. */
  install(): () => void {
    const { clearTimeout, clearInterval } = globalThis;
    // Whole: what is added to it and taken away again must stay what it is.
    const startedMs = Math.ceil(performance.now());
    const startedAt = Date.now();
    const clear =
      (real: (timer: NodeJS.Timeout) => void) =>
      (timer: unknown): void => {
        // One of before, or nothing.
        if (!this.clear(timer)) real(timer as NodeJS.Timeout);
      };
    const patches: readonly Patch[] = [
      [globalThis, 'setTimeout', (run: Callback, ms?: unknown, ...args: unknown[]) => this.#set(run, ms, args, false)],
      [globalThis, 'setInterval', (run: Callback, ms?: unknown, ...args: unknown[]) => this.#set(run, ms, args, true)],
      [globalThis, 'clearTimeout', clear(clearTimeout)],
      [globalThis, 'clearInterval', clear(clearInterval)],
      [performance, 'now', () => startedMs + this.#elapsedMs],
      [Date, 'now', () => startedAt + Math.floor(this.#elapsedMs)],
    ];
    const restores = patches.map(([target, name, value]) => patch(target, name, value));
    return () => {
      for (const restore of restores) restore();
    };
  }

  clearAll(): void {
    this.#timers.clear();
  }

  /** Runs the timer that is due first, unless that is after `endMs`; then it is `endMs`. @returns whether one was run. */
  runNext(endMs: number): boolean {
    let next: (Timer & { delayMs: number }) | undefined;
    for (const timer of this.#timers.values()) if (next === undefined || timer.dueMs < next.dueMs) next = timer;
    if (next === undefined || next.dueMs > endMs) {
      this.#elapsedMs = Math.max(this.#elapsedMs, endMs);
      return false;
    }
    this.#elapsedMs = Math.max(this.#elapsedMs, next.dueMs);
    if (next.everyMs === undefined) this.#timers.delete(next.id);
    else {
      // Behind those that are due at the same time.
      this.#timers.delete(next.id);
      next.dueMs += next.everyMs;
      this.#timers.set(next.id, next);
    }
    try {
      next.run();
    } catch (error) {
      this.thrown.push(error);
    }
    return true;
  }

  /** @returns whether the timer was one of this queue. */
  clear(timer: unknown): boolean {
    if (timer instanceof VirtualTimer) this.#timers.delete(Number(timer));
    else if (typeof timer === 'number') return this.#timers.delete(timer);
    return timer instanceof VirtualTimer;
  }

  refresh(id: number): void {
    const timer = this.#timers.get(id);
    if (timer !== undefined) timer.dueMs = this.#elapsedMs + timer.delayMs;
  }

  #set(run: Callback, ms: unknown, args: readonly unknown[], repeats: boolean): VirtualTimer {
    const asked = Number(ms ?? 0);
    // As Node does: what it cannot wait for it does not wait for.
    const delayMs = asked >= 1 && asked <= 2_147_483_647 ? Math.trunc(asked) : 1;
    this.#ids += 1;
    const id = this.#ids;
    const everyMs = repeats ? delayMs : undefined;
    this.#timers.set(id, { id, run: () => void run(...args), everyMs, delayMs, dueMs: this.#elapsedMs + delayMs });
    return new VirtualTimer(id, this);
  }
}

/** @returns what puts the property back as it was. */
function patch(target: object, name: string, value: unknown): () => void {
  const before = Object.getOwnPropertyDescriptor(target, name);
  Object.defineProperty(target, name, {
    value,
    writable: true,
    configurable: true,
    enumerable: before?.enumerable ?? false,
  });
  return () => {
    if (before === undefined) Reflect.deleteProperty(target, name);
    else Object.defineProperty(target, name, before);
  };
}
