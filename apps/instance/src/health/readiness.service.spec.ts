import { Admission, CoordinationObserver, LoadShedding } from '@baton/coordination';
import { PoolEngine } from '@baton/engines';
import { inferenceRequest } from '@baton/inference';
import { RemoteClient, RemotePool, StaticEndpointPicker, type BreakerState, type EndpointState } from '@baton/remotes';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Registry } from 'prom-client';
import { InstanceConfig } from '../config/instance-config.js';
import { loadConfig } from '../config/load-config.js';
import { PrometheusCoordinationObserver } from '../metrics/prometheus-coordination.observer.js';
import { EventLoopWatch } from './event-loop-watch.js';
import { ReadinessService } from './readiness.service.js';

class HealthyEngine extends PoolEngine {
  answer: Promise<{ ready: boolean; reason?: string }> = Promise.resolve({ ready: true });
  override health = () => this.answer;
}

class LateLoop extends EventLoopWatch {
  delayMs = 0;
  override get longestDelayMs(): number {
    return this.delayMs;
  }
}

const engine = new HealthyEngine({ prefill: [], decode: [] });
afterEach(() => engine.stop());

/** A pool of one endpoint, whose breaker the test turns. */
class TurnedPool extends RemotePool {
  state: BreakerState = 'closed';
  override states(): readonly EndpointState[] {
    return [{ name: '127.0.0.1:1', state: this.state, inFlight: 0, waiting: 0 }];
  }
}

function service(config = new InstanceConfig()) {
  const requests = new PrometheusCoordinationObserver(new Registry(), { table: { entries: [] } });
  const admission = new Admission(new CoordinationObserver(), new LoadShedding(), {
    admission: { maxInFlight: 1, maxWaiting: 0 },
  });
  const loop = new LateLoop();
  const pool = new TurnedPool([], new RemoteClient(), () => new StaticEndpointPicker());
  const readiness = new ReadinessService(engine, loop, admission, requests, config, pool, pool);
  return { pool, requests, admission, loop, readiness, reason: async () => (await readiness.check()).reason };
}

describe('ReadinessService', () => {
  it('is ready when nothing is in the way', async () => {
    expect(await service().readiness.check()).toEqual({ status: 'ready' });
  });

  it('follows the event loop', async () => {
    const { loop, reason } = service();
    loop.delayMs = 1_200.4;
    expect(await reason()).toBe('The event loop was 1200 ms late.');
    loop.delayMs = 1_000;
    expect(await reason()).toBeUndefined();
  });

  it('does not hold against an engine that is well again what it failed while it was not', async () => {
    const { requests, reason } = service();
    for (let count = 0; count < 10; count += 1) requests.ended('upstream_error');
    expect(await reason()).toMatch(/^Within the last minute/);
    engine.answer = Promise.resolve({ ready: false, reason: 'It is gone.' });
    expect(await reason()).toBe('It is gone.');
    engine.answer = Promise.resolve({ ready: true });
    expect(await reason()).toBeUndefined();
  });

  it('follows admission', async () => {
    const { admission, reason } = service();
    const admitted = admission.admit(inferenceRequest('chat', {})).subscribe();
    expect(await reason()).toBe('No more requests are taken: 1 are being answered and 0 wait.');
    admitted.unsubscribe();
    expect(await reason()).toBeUndefined();
  });

  it('follows what became of requests, and forgives with the first that succeeds', async () => {
    const { requests, reason } = service();
    for (let i = 0; i < 9; i += 1) requests.ended('upstream_error');
    for (let i = 0; i < 9; i += 1) requests.ended('client_error');
    expect(await reason()).toBeUndefined();
    requests.ended('upstream_truncated');
    expect(await reason()).toBe('Within the last minute engines failed 10 requests and answered none.');
    requests.ended('complete');
    expect(await reason()).toBeUndefined();
  });

  it('follows the breakers when nothing is computed here, and tries again', async () => {
    const config = loadConfig({
      env: {
        BATON_ENGINE_KIND: 'none',
        BATON_COORDINATION_CONNECTOR: 'nixl',
        BATON_COORDINATION_PREFILL_ENDPOINTS: 'http://127.0.0.1:1',
        BATON_COORDINATION_DECODE_ENDPOINTS: 'http://127.0.0.1:1',
      },
    });
    const [coordinator, withEngine] = [service(config), service()];
    for (const { pool } of [coordinator, withEngine]) pool.state = 'open';
    expect(await coordinator.reason()).toBe('Every prefill endpoint has failed and is left alone for a moment.');
    expect(await withEngine.reason()).toBeUndefined();
    coordinator.pool.state = 'half_open';
    expect(await coordinator.reason()).toBeUndefined();
  });

  it('follows the engine', async () => {
    const { reason } = service();
    engine.answer = Promise.resolve({ ready: false, reason: 'It is tired.' });
    expect(await reason()).toBe('It is tired.');
    engine.answer = Promise.resolve({ ready: true });
  });

  it('is over with the drain', async () => {
    const { readiness, reason } = service();
    readiness.beginDrain();
    expect([readiness.isDraining, await reason()]).toEqual([true, 'The instance is shutting down.']);
  });
});
