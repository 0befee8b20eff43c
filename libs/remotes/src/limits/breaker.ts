import { InferenceError } from '@baton/inference';
import { RemoteUnavailableError } from '../remote-unavailable.error.js';

/** When a {@link Breaker} opens, and for how long. */
export interface BreakerOptions {
  /** So many failures one after another open it; 0 never does. */
  readonly failures: number;
  /** How long it stays open, in ms; a fifth more or less, so that not all instances try again at once. */
  readonly openMs: number;
  /** Milliseconds that never go back. */
  readonly now?: () => number;
  /** From 0 up to, not including, 1. */
  readonly random?: () => number;
}

/** `closed`: used; `open`: left alone; `half_open`: one leg at a time finds out whether it is back. */
export type BreakerState = 'closed' | 'open' | 'half_open';

const JITTER = 0.2;

/** Leaves one endpoint alone for a while when it fails again and again in ways that say nothing of the request. */
export class Breaker {
  readonly #now: () => number;
  readonly #random: () => number;
  #failures = 0;
  /** Undefined while it is closed. */
  #openUntil: number | undefined;
  #trial: object | undefined;

  constructor(private readonly options: BreakerOptions) {
    this.#now = options.now ?? ((): number => performance.now());
    this.#random = options.random ?? Math.random;
  }

  get state(): BreakerState {
    if (this.#openUntil === undefined) return 'closed';
    return this.#now() < this.#openUntil ? 'open' : 'half_open';
  }

  /** How long it stays open from now on, in ms; undefined when it is not open. */
  get halfOpensInMs(): number | undefined {
    if (this.#openUntil === undefined) return undefined;
    const ms = this.#openUntil - this.#now();
    return ms > 0 ? ms : undefined;
  }

  /** Whether a leg may be sent. */
  get allows(): boolean {
    const { state } = this;
    return state === 'closed' || (state === 'half_open' && this.#trial === undefined);
  }

  /** A leg is about to be sent; says by what its end has to be told. */
  begin(): object {
    const leg = {};
    if (this.state === 'half_open') this.#trial ??= leg;
    return leg;
  }

  /** A leg was given back, whatever became of it: another one may be the trial. */
  end(leg: object): void {
    if (this.#trial === leg) this.#trial = undefined;
  }

  /** The endpoint has answered. */
  succeeded(): void {
    this.#failures = 0;
    this.#openUntil = undefined;
  }

  failed(): void {
    this.#failures += 1;
    if (this.#failures >= this.options.failures) this.stopping();
  }

  /** The endpoint has said that it is about to stop: it is left alone at once. */
  stopping(): void {
    const { failures, openMs } = this.options;
    if (failures === 0 || this.state === 'open') return;
    this.#openUntil = this.#now() + openMs * (1 - JITTER + 2 * JITTER * this.#random());
  }
}

/** What a gateway, or an instance that is overloaded or about to stop, says. */
const NOT_SERVED = new Set([502, 503, 504]);

/**
 * What a leg that failed before its first part says of its endpoint: whether it answers at all. Undefined when it says
 * nothing: the request's own time was over.
 */
export function hasAnswered(error: unknown): boolean | undefined {
  if (!(error instanceof RemoteUnavailableError)) {
    return error instanceof InferenceError && error.code === 'deadline_exceeded' ? undefined : true;
  }
  if (error.upstreamStatus !== undefined) return !NOT_SERVED.has(error.upstreamStatus);
  return error.reason === 'busy' || error.reason === 'no_endpoint' ? undefined : false;
}
