import {
  CoordinationObserver,
  ManagerRegistry,
  type Phase,
  type RejectionReason,
  type Settlement,
  type StreamEndReason,
} from '@baton/coordination';
import type { EngineMetric } from '@baton/engines';
import type { InferenceApi } from '@baton/inference';
import type { AttemptResult } from '@baton/remotes';
import { Inject, Injectable } from '@nestjs/common';
import { Histogram, type Registry } from 'prom-client';
import { RecentEnds } from '../health/recent-ends.js';
import { METRICS_PREFIX } from './create-registry.js';
import { LabelCounts, single } from './label-counts.js';
import { APIS, END_REASONS, FALLBACK_REASONS, PHASES, REJECTIONS, RETRY_REASONS, SETTLEMENTS } from './known-labels.js';
import { METRICS_REGISTRY } from './registry.token.js';

/** From a release at once to the longest lease, in seconds. */
const STRANDED_BUCKETS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 480];

/** From closing a leg to the bounds of a transfer and its release, in seconds. */
const CLEANUP_BUCKETS = [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** The managers there are now. */
export interface KnownManagers {
  readonly table: { readonly entries: readonly { readonly name: string }[] };
}

/** Counts what happens to requests. */
@Injectable()
export class PrometheusCoordinationObserver extends CoordinationObserver {
  /** How requests ended lately, for readiness. */
  readonly recentEnds = new RecentEnds();

  #inFlight = 0;
  #noHandoff = 0;
  #answeredByPrefill = 0;
  #stale = 0;
  readonly #started = new LabelCounts('requests_started_total', 'Inference requests that came, by API.', 'api', APIS);
  readonly #ended = new LabelCounts('stream_end_total', 'Answers that ended, by why.', 'reason', END_REASONS);
  readonly #rejected = new LabelCounts(
    'rejected_total',
    'Requests that were refused before anything was done for them, by why.',
    'reason',
    REJECTIONS,
  );
  readonly #dispatched = new LabelCounts('dispatched_total', 'Requests that a manager took.', 'manager');
  readonly #fellBack = new LabelCounts(
    'local_fallback_total',
    'Requests that this instance answered since a leg failed elsewhere, by how.',
    'reason',
    FALLBACK_REASONS,
  );
  readonly #settled = new LabelCounts(
    'handoffs_settled_total',
    'Handoffs that are owed no more, by how they ended.',
    'outcome',
    SETTLEMENTS,
  );
  readonly #left = new LabelCounts(
    'client_disconnects_total',
    'Split answers that were left before their end, by what was under way.',
    'phase',
    PHASES,
  );
  readonly #retried = {
    prefill: retries('prefill', 'Prefill legs that were sent once more, by why.'),
    decode: retries('decode', 'Decode legs that were sent once more, by why.'),
  };
  /** By the remote's name, of which the configuration says how many there are. */
  readonly #attempts = new Map<string, LabelCounts>();
  readonly #stranded: Histogram;
  readonly #cleanup: Histogram;

  constructor(
    @Inject(METRICS_REGISTRY) registry: Registry,
    @Inject(ManagerRegistry) private readonly managers: KnownManagers,
  ) {
    super();
    this.#stranded = new Histogram({
      name: `${METRICS_PREFIX}handoff_stranded_seconds`,
      help: 'How long KV was held for nobody: from a disconnect until all of it was released.',
      buckets: STRANDED_BUCKETS,
      registers: [registry],
    });
    this.#cleanup = new Histogram({
      name: `${METRICS_PREFIX}cleanup_seconds`,
      help: 'From a disconnect until what it left behind was cleaned up.',
      buckets: CLEANUP_BUCKETS,
      registers: [registry],
    });
  }

  /** All counts of one moment: started is the sum of ended and in flight. */
  snapshot(): EngineMetric[] {
    // Managers may come later than this observer.
    this.#dispatched.know(this.managers.table.entries.map(({ name }) => name));
    return [
      single(
        'inflight_requests',
        'Inference requests that are being answered, or wait for it.',
        'gauge',
        this.#inFlight,
      ),
      ...[this.#started, this.#ended, this.#rejected, this.#dispatched, this.#fellBack, this.#settled, this.#left].map(
        ({ metric }) => metric,
      ),
      this.#retried.prefill.metric,
      this.#retried.decode.metric,
      this.#attempted(),
      single(
        'no_handoff_total',
        'Prefill legs that left no KV behind: the decode leg read the prompt.',
        'counter',
        this.#noHandoff,
      ),
      single(
        'answered_by_prefill_total',
        'Requests whose first token was the whole answer.',
        'counter',
        this.#answeredByPrefill,
      ),
      single('handoffs_stale_total', 'Handoffs that were too old to be decoded from.', 'counter', this.#stale),
    ];
  }

  override started(api: InferenceApi): void {
    this.#inFlight += 1;
    this.#started.inc(api);
  }

  override dispatched(manager: string): void {
    this.#dispatched.inc(manager);
  }

  override ended(reason: StreamEndReason): void {
    this.#inFlight -= 1;
    this.#ended.inc(reason);
    this.recentEnds.record(reason);
  }

  override rejected(reason: RejectionReason): void {
    this.#rejected.inc(reason);
  }

  override attempted(remote: string, result: AttemptResult): void {
    const known = this.#attempts.get(remote) ?? new LabelCounts('', '', 'result');
    this.#attempts.set(remote, known);
    known.inc(result);
  }

  override fellBack(reason: string): void {
    this.#fellBack.inc(reason);
  }

  override clientLeft(phase: Phase): void {
    this.#left.inc(phase);
  }

  override settled(outcome: Settlement, strandedMs: number): void {
    this.#settled.inc(outcome);
    if (strandedMs > 0) this.#stranded.observe(strandedMs / 1_000);
  }

  override cleanedUp(ms: number): void {
    this.#cleanup.observe(ms / 1_000);
  }

  override stale(): void {
    this.#stale += 1;
  }

  override retried(leg: 'prefill' | 'decode', reason: string): void {
    this.#retried[leg].inc(reason);
  }

  override noHandoff(): void {
    this.#noHandoff += 1;
  }

  override answeredByPrefill(): void {
    this.#answeredByPrefill += 1;
  }

  #attempted(): EngineMetric {
    const samples = [...this.#attempts].flatMap(([remote, { metric }]) =>
      metric.samples.map(({ labels, value }) => ({ labels: { remote, ...labels }, value })),
    );
    return { name: 'upstream_attempts_total', help: 'Legs on remotes that ended, by how.', type: 'counter', samples };
  }
}

function retries(leg: string, help: string): LabelCounts {
  return new LabelCounts(`${leg}_retries_total`, help, 'reason', RETRY_REASONS);
}
