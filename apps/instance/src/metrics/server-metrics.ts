import { Admission, DECODE_POOL, HandoffLedger, PREFILL_POOL, Split } from '@baton/coordination';
import type { EngineMetric } from '@baton/engines';
import { RemotePool, type BreakerState, type EndpointState } from '@baton/remotes';
import { Inject, Injectable } from '@nestjs/common';
import { ConnectionLimit } from '../http/connection-limit.js';
import { single } from './label-counts.js';

/** What this instance holds at the moment of a scrape. */
@Injectable()
export class ServerMetrics {
  constructor(
    private readonly admission: Admission,
    private readonly ledger: HandoffLedger,
    private readonly connections: ConnectionLimit,
    @Inject(Split) private readonly split: Pick<Split, 'retriesLeft'>,
    @Inject(PREFILL_POOL) private readonly prefill: RemotePool,
    @Inject(DECODE_POOL) private readonly decode: RemotePool,
  ) {}

  snapshot(): EngineMetric[] {
    return [
      this.#byClass('admitted_requests', 'Requests and legs that were admitted and are not over.', 'inFlight'),
      this.#byClass('admission_waiting_requests', 'Requests and legs that wait to be admitted.', 'waiting'),
      this.#byRemote(
        'breaker_state',
        'Whether a remote is left alone since it failed: 0 closed, 1 half open, 2 open.',
        ({ state }) => BREAKER_STATES[state],
      ),
      this.#byRemote('remote_inflight_legs', 'Legs that a remote has.', ({ inFlight }) => inFlight),
      this.#byRemote('remote_waiting_legs', 'Legs that wait for a remote, among others.', ({ waiting }) => waiting),
      single('retry_budget_remaining', 'Legs that may be sent once more now.', 'gauge', this.split.retriesLeft),
      single('server_connections', 'Open connections of clients.', 'gauge', this.connections.open),
      {
        name: 'handoffs_open',
        help: 'KV handoffs that are not settled.',
        type: 'gauge',
        samples: [{ labels: { side: 'ledger' }, value: this.ledger.open }],
      },
      single(
        'handoff_oldest_seconds',
        'How long the oldest open handoff has been owed.',
        'gauge',
        this.ledger.oldestAgeMs / 1_000,
      ),
    ];
  }

  #byRemote(name: string, help: string, valueOf: (state: EndpointState) => number): EngineMetric {
    const { prefill, decode } = this;
    const samples = Object.entries({ prefill, decode }).flatMap(([pool, remotes]) =>
      remotes.states().map((state) => ({ labels: { pool, remote: state.name }, value: valueOf(state) })),
    );
    return { name, help, type: 'gauge', samples };
  }

  #byClass(name: string, help: string, count: 'inFlight' | 'waiting'): EngineMetric {
    const { clients, legs } = this.admission.load;
    const samples = Object.entries({ clients, legs }).map(([of, load]) => ({ labels: { of }, value: load[count] }));
    return { name, help, type: 'gauge', samples };
  }
}

const BREAKER_STATES: Readonly<Record<BreakerState, number>> = { closed: 0, half_open: 1, open: 2 };
