import { inferenceRequest, jsonPart } from '@baton/inference';
import { describe, expect, it, jest } from '@jest/globals';
import { Observable, of } from 'rxjs';
import { parseEndpoint, type Endpoint } from './endpoint.js';
import { RemoteClient } from './http/remote-client.js';
import type { EndpointPicker } from './pickers/endpoint-picker.js';
import type { LegSite } from './leg-site.js';
import { poolEndpoints, RemotePool } from './remote-pool.js';

const request = inferenceRequest('completions', {});
const endpoint = parseEndpoint('http://d:1');

describe('RemotePool', () => {
  it('asks for the picker, and the picker, on subscription only, and holds the endpoint until unsubscribed', () => {
    const released = jest.fn();
    const pick = jest.fn(
      (_request: unknown, endpoints: readonly Endpoint[]) =>
        new Observable<Endpoint>((subscriber) => {
          for (const first of endpoints.slice(0, 1)) subscriber.next(first);
          return released;
        }),
    );
    const picker = jest.fn((): EndpointPicker => ({ pick }));
    const pool = new RemotePool([endpoint], new RemoteClient(), picker);

    const resource = pool.pick(request);
    expect(picker).not.toHaveBeenCalled();
    const remotes: LegSite[] = [];
    const subscription = resource.subscribe((remote) => remotes.push(remote));
    expect(pick).toHaveBeenCalledWith(request, [endpoint]);
    expect(remotes[0]?.endpoint).toBe(endpoint);
    expect(released).not.toHaveBeenCalled();
    subscription.unsubscribe();
    expect(released).toHaveBeenCalledTimes(1);

    resource.subscribe();
    expect(pick).toHaveBeenCalledTimes(2);
  });

  it('runs legs on the endpoint that was picked', () => {
    const client = new RemoteClient();
    const run = jest.spyOn(client, 'run').mockReturnValue(of(jsonPart({ id: 'x' })));
    const next = jest.fn();
    new RemotePool([endpoint], client, () => ({ pick: () => of(endpoint) }))
      .pick(request)
      .subscribe((remote) => remote.run(request).subscribe(next));
    expect(run).toHaveBeenCalledWith(endpoint, request);
    expect(next).toHaveBeenCalledWith(jsonPart({ id: 'x' }));
  });

  it('fails with what the picker, or the search for it, throws', () => {
    const error = jest.fn();
    const picker = (): EndpointPicker => {
      throw new Error('no picker');
    };
    new RemotePool([endpoint], new RemoteClient(), picker).pick(request).subscribe({ error });
    expect(error).toHaveBeenCalledWith(expect.objectContaining({ message: 'no picker' }));
  });

  it('gives the place of an endpoint back also when the picker throws while it lets go', () => {
    const pick = (): Observable<Endpoint> =>
      new Observable((subscriber) => {
        subscriber.next(endpoint);
        return () => {
          throw new Error('no letting go');
        };
      });
    const pool = new RemotePool([endpoint], new RemoteClient(), () => ({ pick }));
    const subscription = pool.pick(request).subscribe();
    expect(pool.states()).toMatchObject([{ inFlight: 1 }]);
    expect(() => subscription.unsubscribe()).toThrow('no letting go');
    expect(pool.states()).toMatchObject([{ inFlight: 0 }]);
  });

  it('knows whether it is empty', () => {
    const picker = (): EndpointPicker => ({ pick: () => of(endpoint) });
    expect(new RemotePool([], new RemoteClient(), picker).isEmpty).toBe(true);
    expect(new RemotePool([endpoint], new RemoteClient(), picker).isEmpty).toBe(false);
  });

  it('hands the picker only those that are not excepted, and fails when none is left', () => {
    const other = parseEndpoint('http://d:2');
    const pick = jest.fn((_request: unknown, endpoints: readonly Endpoint[]) => of(...endpoints.slice(0, 1)));
    const pool = new RemotePool([endpoint, other], new RemoteClient(), () => ({ pick }));
    const next = jest.fn();
    pool.pick(request, { except: new Set([endpoint]) }).subscribe(next);
    expect(pick).toHaveBeenCalledWith(request, [other]);
    expect(next).toHaveBeenCalledWith(expect.objectContaining({ endpoint: other }));
    pool.pick(request, { except: new Set() }).subscribe();
    expect(pick).toHaveBeenLastCalledWith(request, [endpoint, other]);
    const error = jest.fn();
    pool.pick(request, { except: new Set([endpoint, other]) }).subscribe({ error });
    expect(error).toHaveBeenCalledWith(expect.objectContaining({ reason: 'no_endpoint', status: 503 }));
    expect(pick).toHaveBeenCalledTimes(2);
  });
});

describe('poolEndpoints', () => {
  it('gives each endpoint the dialect of the pool, unless it names its own', () => {
    expect(poolEndpoints(['http://a:1', { url: 'http://b:1', dialect: 'vllm' }], 'sglang')).toEqual([
      { origin: 'http://a:1', name: 'a:1', dialect: 'sglang' },
      { origin: 'http://b:1', name: 'b:1', dialect: 'vllm' },
    ]);
    expect(poolEndpoints(['http://a:1'])).toEqual([{ origin: 'http://a:1', name: 'a:1' }]);
  });
});
