import { CoordinationObserver, ManagerRegistry, type Settlement, type StreamEndReason } from '@baton/coordination';
import type { InferenceApi } from '@baton/inference';
import type { UnavailableReason } from '@baton/remotes';
import { Inject, Injectable } from '@nestjs/common';
import { Counter, Gauge, type Registry } from 'prom-client';
import { METRICS_PREFIX } from './create-registry.js';
import { METRICS_REGISTRY } from './registry.token.js';

/** Counts what happens to requests. */
@Injectable()
export class PrometheusCoordinationObserver extends CoordinationObserver {
  readonly #inFlight: Gauge;
  readonly #started: Counter<'api'>;
  readonly #ended: Counter<'reason'>;
  readonly #dispatched: Counter<'manager'>;
  readonly #fellBack: Counter<'reason'>;
  readonly #settled: Counter<'outcome'>;
  readonly #retried: Readonly<Record<'prefill' | 'decode', Counter<'reason'>>>;
  readonly #noHandoff: Counter;
  readonly #answeredByPrefill: Counter;

  constructor(@Inject(METRICS_REGISTRY) registry: Registry, managers: ManagerRegistry) {
    super();
    const counter = <Label extends string>(name: string, help: string, ...labelNames: Label[]): Counter<Label> =>
      new Counter({ name: METRICS_PREFIX + name, help, labelNames, registers: [registry] });
    this.#inFlight = new Gauge({
      name: `${METRICS_PREFIX}inflight_requests`,
      help: 'Inference requests that are being answered.',
      registers: [registry],
    });
    this.#started = counter('requests_started_total', 'Inference requests that were admitted, by API.', 'api');
    this.#ended = counter('stream_end_total', 'Answers that ended, by why.', 'reason');
    this.#dispatched = new Counter({
      name: `${METRICS_PREFIX}dispatched_total`,
      help: 'Requests that a manager took.',
      labelNames: ['manager'],
      registers: [registry],
      // Managers may come later than this observer.
      collect() {
        for (const { name } of managers.table.entries) this.inc({ manager: name }, 0);
      },
    });
    this.#fellBack = counter(
      'local_fallback_total',
      'Requests that this instance answered since a leg failed elsewhere, by how.',
      'reason',
    );
    this.#settled = counter('handoffs_settled_total', 'Handoffs that are owed no more, by how they ended.', 'outcome');
    this.#retried = {
      prefill: counter('prefill_retries_total', 'Prefill legs that were sent once more, by why.', 'reason'),
      decode: counter('decode_retries_total', 'Decode legs that were sent once more, by why.', 'reason'),
    };
    this.#noHandoff = counter(
      'no_handoff_total',
      'Prefill legs that left no KV behind: the decode leg read the prompt.',
    );
    this.#answeredByPrefill = counter('answered_by_prefill_total', 'Requests whose first token was the whole answer.');
    this.#showZeros();
  }

  override started(api: InferenceApi): void {
    this.#inFlight.inc();
    this.#started.inc({ api });
  }

  override dispatched(manager: string): void {
    this.#dispatched.inc({ manager });
  }

  override ended(reason: StreamEndReason): void {
    this.#inFlight.dec();
    this.#ended.inc({ reason });
  }

  override fellBack(reason: string): void {
    this.#fellBack.inc({ reason });
  }

  override settled(outcome: Settlement): void {
    this.#settled.inc({ outcome });
  }

  override retried(leg: 'prefill' | 'decode', reason: string): void {
    this.#retried[leg].inc({ reason });
  }

  override noHandoff(): void {
    this.#noHandoff.inc();
  }

  override answeredByPrefill(): void {
    this.#answeredByPrefill.inc();
  }

  /** A series that appears with its first event looks to Prometheus as if nothing had happened. */
  #showZeros(): void {
    for (const api of ['completions', 'chat', 'generate'] satisfies InferenceApi[]) this.#started.inc({ api }, 0);
    for (const outcome of ['taken', 'freed', 'lease_expired', 'unknown']) this.#settled.inc({ outcome }, 0);
    for (const reason of END_REASONS) this.#ended.inc({ reason }, 0);
    for (const reason of FALLBACK_REASONS) this.#fellBack.inc({ reason }, 0);
    for (const counter of Object.values(this.#retried)) for (const reason of RETRY_REASONS) counter.inc({ reason }, 0);
  }
}

const END_REASONS: readonly StreamEndReason[] = [
  'complete',
  'client_gone',
  'client_stalled',
  'client_error',
  'upstream_error',
  'upstream_error_event',
  'upstream_aborted',
  'upstream_incomplete',
  'upstream_truncated',
  'server_error',
  'drain',
  'aborted',
];

const FALLBACK_REASONS: readonly (UnavailableReason | 'bad_answer' | 'refused')[] = [
  'no_endpoint',
  'connect',
  'reset',
  'timeout',
  'busy',
  'failed',
  'bad_answer',
  'refused',
];

const RETRY_REASONS: readonly UnavailableReason[] = ['connect', 'reset', 'timeout', 'busy', 'failed'];
