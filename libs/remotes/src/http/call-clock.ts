import { MAX_TIMER_MS } from '@baton/inference';

/** How long each part of a call may take, in ms. */
export interface CallTimes {
  /** To open a connection. */
  readonly connectTimeoutMs: number;
  /** From the request sent to the head of its answer. */
  readonly headTimeoutMs: number;
  /** From the head of a stream to its first event with data. */
  readonly firstTokenTimeoutMs: number;
  /** Between two events with data; between two pieces of an answer that is not streamed. */
  readonly idleTimeoutMs: number;
  /** For all of it. */
  readonly totalTimeoutMs: number;
}

/** What of a call was late. */
export type LateTimer = 'connect' | 'head' | 'first_token' | 'between_tokens' | 'total';

/** What a call waits for. */
export type CallStage = Exclude<LateTimer, 'total'>;

/**
 * The clock of one call. One timer, which is set for what is due first: an event only writes down when it came, and the
 * timer, when it fires too early for that, is set anew.
 */
export class CallClock {
  readonly #limits: Readonly<Record<CallStage, number>>;
  readonly #endsAt: number;
  #stage: CallStage = 'connect';
  #since: number;
  #isHeld = false;
  #isStopped = false;
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;

  /**
   * @param deadlineMs of the request that the call is part of, on the clock of `performance.now()`.
   * @param onLate called once, when one of the times is over.
   */
  constructor(
    times: CallTimes,
    private readonly deadlineMs: number | undefined,
    private readonly onLate: (late: LateTimer | 'deadline') => void,
  ) {
    this.#since = performance.now();
    this.#endsAt = Math.min(this.#since + times.totalTimeoutMs, deadlineMs ?? Infinity);
    this.#limits = {
      connect: times.connectTimeoutMs,
      head: times.headTimeoutMs,
      first_token: times.firstTokenTimeoutMs,
      between_tokens: times.idleTimeoutMs,
    };
    this.#arm(this.#since);
  }

  /** The call waits for something else from now on. */
  enter(stage: CallStage): void {
    if (this.#isStopped) return;
    this.#stage = stage;
    this.#since = performance.now();
    this.#arm(this.#since);
  }

  /** Something of the answer came. */
  progress(): void {
    if (this.#stage === 'first_token') this.enter('between_tokens');
    else this.#since = performance.now();
  }

  /** Nothing is read while the client takes nothing, so that only the time for all of it goes on. */
  hold(isHeld: boolean): void {
    if (this.#isHeld === isHeld) return;
    this.#isHeld = isHeld;
    // Nothing was held before there was a connection.
    if (!isHeld && this.#stage !== 'connect') this.#since = performance.now();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
  }

  #arm(now: number): void {
    clearTimeout(this.#timer);
    const waitMs = Math.min(this.#stageEndsAt(now), this.#endsAt) - now;
    this.#timer = setTimeout(() => this.#check(), Math.min(MAX_TIMER_MS, Math.max(1, Math.ceil(waitMs))));
  }

  /** While the client takes nothing it is never over; it is looked at again when it could be at the earliest. */
  #stageEndsAt(now: number): number {
    const isHeld = this.#isHeld && this.#stage !== 'connect';
    return (isHeld ? now : this.#since) + this.#limits[this.#stage];
  }

  #check(): void {
    if (this.#late() === undefined) return this.#arm(performance.now());
    // After a pause of this process, what came meanwhile is read before it counts as late.
    this.#immediate = setImmediate(() => {
      const late = this.#late();
      if (late === undefined) return this.#arm(performance.now());
      this.stop();
      this.onLate(late);
    });
  }

  #late(): LateTimer | 'deadline' | undefined {
    // A timer may fire a part of a millisecond early.
    const now = performance.now() + 1;
    if (now >= this.#stageEndsAt(now)) return this.#stage;
    if (now < this.#endsAt) return undefined;
    return this.#endsAt === this.deadlineMs ? 'deadline' : 'total';
  }
}
