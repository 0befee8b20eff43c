import { Admission, CoordinationObserver, HandoffLedger, LoadShedding } from '@baton/coordination';
import { PoolEngine } from '@baton/engines';
import { poolEndpoints, RemoteClient, RemotePool, StaticEndpointPicker } from '@baton/remotes';
import { afterAll, describe, expect, it } from '@jest/globals';
import { NEVER } from 'rxjs';
import { ConnectionLimit } from '../http/connection-limit.js';
import { createRegistry } from './create-registry.js';
import { APIS, END_REASONS } from './known-labels.js';
import { MetricsController } from './metrics.controller.js';
import { PluginMetrics } from './plugin-metrics.js';
import { PolicyMetrics } from './policy-metrics.js';
import { PrometheusCoordinationObserver } from './prometheus-coordination.observer.js';
import { ServerMetrics } from './server-metrics.js';

const engine = new PoolEngine({ prefill: [], decode: [] });
afterAll(() => engine.stop());

function controllerOf(registry = createRegistry()) {
  const requests = new PrometheusCoordinationObserver(registry, { table: { entries: [{ name: 'local' }] } });
  const admission = new Admission(new CoordinationObserver(), new LoadShedding(), {});
  const ledger = new HandoffLedger(requests, {});
  const client = new RemoteClient();
  const pool = new RemotePool(poolEndpoints(['http://127.0.0.1:1']), client, () => new StaticEndpointPicker());
  const server = new ServerMetrics(admission, ledger, new ConnectionLimit(10), { retriesLeft: 7 }, pool, pool);
  const plugins = new PluginMetrics({ events: NEVER, faults: NEVER, list: () => [], imports: 3 });
  const policies = new PolicyMetrics({ changes: NEVER, current: () => ({ version: 4, managers: [] }) });
  return { requests, controller: new MetricsController(registry, engine, requests, server, policies, plugins) };
}

/** The sum over the series of a metric. */
function sumOf(text: string, name: string): number {
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

describe('a scrape', () => {
  it('adds up whatever happens while it is made: started is ended and in flight', async () => {
    const { requests, controller } = controllerOf();
    let [isOver, open, turn] = [false, 0, 0];
    /** Requests that begin and end in every microtask, out of step. */
    const load = async (): Promise<void> => {
      while (!isOver) {
        turn += 1;
        if (open === 0 || turn % 3 !== 0) {
          open += 1;
          requests.started(APIS[turn % APIS.length] ?? 'chat');
        } else {
          open -= 1;
          requests.ended(END_REASONS[turn % END_REASONS.length] ?? 'complete');
        }
        await (turn % 50 === 0 ? new Promise(setImmediate) : undefined);
      }
    };
    const loads = [load(), load()];
    for (let i = 0; i < 100; i += 1) {
      await new Promise(setImmediate);
      const scrapes = await Promise.all([controller.metrics(), controller.metrics()]);
      for (const text of scrapes) {
        const started = sumOf(text, 'baton_requests_started_total');
        expect(started).toBe(sumOf(text, 'baton_stream_end_total') + sumOf(text, 'baton_inflight_requests'));
      }
    }
    isOver = true;
    await Promise.all(loads);
    expect(turn).toBeGreaterThan(1_000);
  });

  it('shows every series before its first event', async () => {
    const text = await controllerOf().controller.metrics();
    expect(text.split('\n')).toEqual(
      expect.arrayContaining([
        'baton_stream_end_total{reason="rejected"} 0',
        'baton_rejected_total{reason="queue_full"} 0',
        'baton_client_disconnects_total{phase="gap"} 0',
        'baton_admission_waiting_requests{of="clients"} 0',
        'baton_admitted_requests{of="legs"} 0',
        'baton_handoff_oldest_seconds 0',
        'baton_server_connections 0',
        'baton_retry_budget_remaining 7',
        'baton_policy_version 4',
        'baton_plugins{status="refused"} 0',
        'baton_plugin_loads_total{result="replaced"} 0',
        'baton_plugin_imports 3',
        'baton_policy_changes_total{action="rollback"} 0',
        'baton_cleanup_seconds_count 0',
        'baton_breaker_state{pool="decode",remote="127.0.0.1:1"} 0',
        'baton_dispatched_total{manager="local"} 0',
      ]),
    );
  });
});
