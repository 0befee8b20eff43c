import { inferenceRequest, invalidRequest, legOf, type InferenceRequest } from '@baton/inference';
import type { Dialect } from '@baton/remotes';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { EMPTY, NEVER, of, throwError, type Observable } from 'rxjs';
import { serialPlan } from '../connectors/cancellation.js';
import type { KvConnector, LegSites, ReleaseMeans, ReleaseOutcome } from '../connectors/kv-connector.js';
import { CONNECTOR_CALLS, containedCalls, DIALECT_CALLS, uncontained } from './contained-calls.js';
import { ContainedFault, type Containment } from './containment.js';

const request = inferenceRequest('completions', { prompt: 'x' });
const sites = { prefill: {}, decode: undefined } as unknown as LegSites;
const means = { request } as ReleaseMeans;
const broken = new Error('broken protocol');
const onFault = jest.fn<(error: Error) => void>();
let containment: { -readonly [Key in keyof Containment]: Containment[Key] };

/** A connector with private state, which a careless proxy would not reach. */
class OwnConnector implements KvConnector {
  readonly #id = 'own';
  readonly contract: KvConnector['contract'] = {
    ...{ order: 'serial', decoder: 'deferred', prefillMayAnswer: false },
    cancellation: serialPlan({ prefilling: 'close', gap: 'release', transferring: 'close' }),
  };
  rendezvous?: KvConnector['rendezvous'];
  assertTakes?: KvConnector['assertTakes'];
  prefillLeg(from: InferenceRequest): InferenceRequest {
    return legOf(from, { by: this.#id });
  }
  handoffOf(): { params: Record<string, never> } | undefined {
    return undefined;
  }
  decodeLeg(from: InferenceRequest): InferenceRequest {
    return legOf(from, from.body);
  }
  release(): Observable<ReleaseOutcome> {
    return of('freed');
  }
}

const connectorOf = (edit: (connector: OwnConnector) => object = () => ({})): KvConnector => {
  const connector = new OwnConnector();
  return containedCalls<KvConnector>(Object.assign(connector, edit(connector)), CONNECTOR_CALLS, containment);
};
const fails = (): never => {
  throw broken;
};

beforeEach(() => {
  jest.useFakeTimers();
  onFault.mockReset();
  containment = { firstPartTimeoutMs: 100, isOff: false, onFault };
});
afterEach(() => void jest.useRealTimers());

describe('A contained connector', () => {
  it('is asked as it is, and is what it was', () => {
    const connector = connectorOf();
    expect(connector).toBeInstanceOf(OwnConnector);
    expect(connector.prefillLeg(request, {}).body).toEqual({ by: 'own' });
    expect([connector.handoffOf({}, {}), connector.rescueLeg, connector.contract.order]).toEqual([
      undefined,
      undefined,
      'serial',
    ]);
    expect(onFault).not.toHaveBeenCalled();
  });

  it.each<[string, (connector: KvConnector) => unknown]>([
    ['prefillLeg', (connector) => connector.prefillLeg(request, {})],
    ['handoffOf', (connector) => connector.handoffOf({}, {})],
    ['decodeLeg', (connector) => connector.decodeLeg(request, undefined)],
    ['release', (connector) => connector.release({ params: {} }, means)],
  ])('whose %s throws, or answers garbage, fails with a contained fault of which is told once', (method, ask) => {
    for (const wrong of [fails, () => 5, () => null, () => Promise.resolve({}), () => ({ params: 1 })]) {
      onFault.mockReset();
      expect(() => ask(connectorOf(() => ({ [method]: wrong })))).toThrow(ContainedFault);
      expect(onFault).toHaveBeenCalledTimes(1);
    }
  });

  it('passes on what it refuses on purpose', () => {
    const refusal = invalidRequest('Not this.', 'prompt');
    const connector = connectorOf(() => ({
      prefillLeg: () => {
        throw refusal;
      },
      assertTakes: () => throwError(() => refusal),
    }));
    expect(() => connector.prefillLeg(request, {})).toThrow(refusal);
    const error = jest.fn();
    connector.assertTakes?.(sites.prefill).subscribe({ error });
    expect(error).toHaveBeenCalledWith(refusal);
    expect(onFault).not.toHaveBeenCalled();
  });

  it('whose Observable fails or hangs does so with a contained fault', () => {
    const error = jest.fn();
    const connector = connectorOf(() => ({ rendezvous: () => NEVER, assertTakes: () => throwError(() => broken) }));
    connector.assertTakes?.(sites.prefill).subscribe({ error });
    connector.rendezvous?.(request, sites).subscribe({ error });
    expect(error).toHaveBeenCalledTimes(1);
    jest.advanceTimersByTime(100);
    expect(error.mock.calls.map(([thrown]) => thrown)).toEqual([
      expect.any(ContainedFault),
      expect.any(ContainedFault),
    ]);
    expect(onFault.mock.calls.map(([fault]) => fault.message)).toEqual([
      'broken protocol',
      'rendezvous did not answer within 100 ms.',
    ]);
  });

  it('may take its time once it has agreed, and to free the KV', () => {
    const connector = connectorOf(() => ({
      rendezvous: () => of({}, {}),
      assertTakes: () => EMPTY,
      release: () => NEVER,
    }));
    connector.rendezvous?.(request, sites).subscribe();
    connector.assertTakes?.(sites.prefill).subscribe();
    connector.release({ params: {} }, means).subscribe();
    jest.advanceTimersByTime(10_000);
    expect(onFault).not.toHaveBeenCalled();
  });

  it('begins nothing once it is switched off, and still frees', () => {
    const connector = connectorOf();
    containment.isOff = true;
    expect(() => connector.prefillLeg(request, {})).toThrow(ContainedFault);
    const freed = jest.fn();
    connector.release({ params: {} }, means).subscribe(freed);
    expect(freed).toHaveBeenCalledWith('freed');
    expect(onFault).not.toHaveBeenCalled();
  });

  it('can be asked without anybody being told', () => {
    const connector = connectorOf(() => ({ handoffOf: fails }));
    expect(() => uncontained(connector).handoffOf({}, {})).toThrow(broken);
    expect(uncontained(means)).toBe(means);
    expect(onFault).not.toHaveBeenCalled();
  });
});

describe('A contained dialect', () => {
  it('is contained in what translates its answers, too', () => {
    const own: Dialect = {
      ...{ name: 'own', healthPath: '/health', renders: false },
      call: () => ({ path: '/x', body: {} }),
      abort: () => undefined,
      translator: () => ({ whole: fails, event: () => [{}] }),
    };
    const dialect = containedCalls(own, DIALECT_CALLS, containment);
    expect([dialect.name, dialect.call(request), dialect.abort(request)]).toEqual([
      'own',
      { path: '/x', body: {} },
      undefined,
    ]);
    const translator = dialect.translator?.(request);
    expect(translator?.event({})).toEqual([{}]);
    expect(translator?.isWhole).toBeUndefined();
    expect(() => translator?.whole({})).toThrow(ContainedFault);
    expect(onFault).toHaveBeenCalledWith(broken);
  });
});
