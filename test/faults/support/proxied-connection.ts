import { connect, type Socket } from 'node:net';
import type { FaultCounts, FaultPlan } from './fault-plan.js';
import { FaultyPipe, type PipeShape } from './faulty-pipe.js';
import type { Random } from './random.js';

/** One connection through the proxy: two sockets, and a pipe for each direction. */
export class ProxiedConnection {
  readonly #target: Socket;
  readonly #up: FaultyPipe;
  readonly #down: FaultyPipe;
  readonly #closeIdleMs: number | undefined;
  #idle: NodeJS.Timeout | undefined;
  #hasAnswered = false;

  constructor(
    private readonly client: Socket,
    target: { readonly host: string; readonly port: number },
    plan: FaultPlan,
    private readonly counts: FaultCounts,
    random: Random,
  ) {
    this.#target = connect({ ...target, noDelay: true, allowHalfOpen: true });
    this.#closeIdleMs = plan.closeIdleMs;
    const events = { chopped: () => (counts.chops += 1), delayed: () => (counts.delays += 1) };
    const reset = () => this.reset();
    // Before the pipe has it.
    if (plan.resetReused === true) client.on('data', () => this.#hasAnswered && this.reset());
    this.#up = new FaultyPipe(
      client,
      this.#target,
      shapeOf(plan, [
        [plan.resetAfterUpBytes, reset],
        [plan.halfCloseAfterUpBytes, () => this.#halfClose()],
      ]),
      { ...events, moved: (bytes) => this.#moved('bytesUp', bytes) },
      random,
    );
    this.#down = new FaultyPipe(
      this.#target,
      client,
      shapeOf(plan, [
        [plan.resetAfterDownBytes, reset],
        [plan.stallAfterDownBytes, () => this.#stall(this.#down)],
      ]),
      { ...events, moved: (bytes) => this.#moved('bytesDown', bytes) },
      random,
    );
    passOn(client, this.#target);
    passOn(this.#target, client);
  }

  get isOpen(): boolean {
    return !this.client.destroyed || !this.#target.destroyed;
  }

  /** RST to both sides. */
  reset(): void {
    if (!this.isOpen) return;
    this.counts.resets += 1;
    this.client.resetAndDestroy();
    this.#target.resetAndDestroy();
  }

  /** Nothing goes through any more, in neither direction, and neither side is told. */
  stall(): void {
    this.#stall(this.#up, this.#down);
  }

  resume(): void {
    this.#up.resume();
    this.#down.resume();
  }

  /** Writes to who connected what the target never said. */
  inject(bytes: Buffer): void {
    if (this.client.destroyed) return;
    this.counts.injections += 1;
    this.client.write(bytes);
  }

  destroy(): void {
    clearTimeout(this.#idle);
    this.resume();
    this.client.destroy();
    this.#target.destroy();
  }

  #stall(...pipes: FaultyPipe[]): void {
    // Each pipe is asked, whether or not one before it was open.
    const stalled = pipes.filter((pipe) => pipe.stall());
    if (stalled.length > 0) this.counts.stalls += 1;
  }

  #moved(direction: 'bytesUp' | 'bytesDown', bytes: number): void {
    this.counts[direction] += bytes;
    clearTimeout(this.#idle);
    this.#hasAnswered ||= direction === 'bytesDown';
    if (this.#closeIdleMs === undefined || direction === 'bytesUp' || !this.isOpen) return;
    this.#idle = setTimeout(() => this.#closeIdle(), this.#closeIdleMs);
  }

  #closeIdle(): void {
    if (!this.isOpen) return;
    this.counts.idleCloses += 1;
    this.destroy();
  }

  #halfClose(): void {
    this.counts.halfCloses += 1;
    this.#up.cut();
  }
}

function shapeOf(plan: FaultPlan, marks: readonly (readonly [at: number | undefined, act: () => void])[]): PipeShape {
  return {
    delayMs: plan.delayMs ?? 0,
    chop: plan.chop,
    bytesPerSecond: plan.rateBytesPerSecond ?? Infinity,
    marks: marks.flatMap(([at, act]) => (at === undefined ? [] : [{ at, act }])),
  };
}

/** What breaks one side breaks the other: a RST goes on as a RST. A FIN goes on through the pipe, behind the bytes. */
function passOn(from: Socket, to: Socket): void {
  from.on('error', () => {
    if (!to.destroyed) to.resetAndDestroy();
  });
  from.on('close', () => {
    if (!to.destroyed && !from.readableEnded) to.destroy();
  });
}
