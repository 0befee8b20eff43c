import {
  inferenceRequest,
  jsonPart,
  type InferenceRequest,
  type RequestTrace,
  type ResponsePart,
} from '@baton/inference';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { Observable, Subject, throwError, type Subscription } from 'rxjs';
import { parseEndpoint, type Endpoint } from '../endpoint.js';
import { RemoteClient } from '../http/remote-client.js';
import type { LegSite } from '../leg-site.js';
import type { EndpointPicker } from '../pickers/endpoint-picker.js';
import { StaticEndpointPicker } from '../pickers/static.picker.js';
import { RemotePool, type PickOptions, type RemotePoolOptions } from '../remote-pool.js';
import { RemoteUnavailableError } from '../remote-unavailable.error.js';

const client = new RemoteClient();
const picker: EndpointPicker = new StaticEndpointPicker();
const of = (label = 'a', deadlineMs?: number): InferenceRequest =>
  inferenceRequest('completions', {}, { caller: { trust: 'client', label }, deadlineMs });

function pool(count: number, options: RemotePoolOptions = {}, chosenBy = picker): RemotePool {
  const endpoints = Array.from({ length: count }, (_, index) => parseEndpoint(`http://d:${index + 1}`));
  return new RemotePool(endpoints, client, () => chosenBy, options);
}

interface Pick {
  readonly label: string;
  site?: LegSite;
  error?: unknown;
  readonly subscription: Subscription;
}

function pick(from: RemotePool, label = 'a', options: PickOptions & { deadlineMs?: number } = {}): Pick {
  const outcome: { label: string; site?: LegSite; error?: unknown } = { label };
  const subscription = from.pick(of(label, options.deadlineMs), options).subscribe({
    next: (site) => (outcome.site = site),
    error: (error: unknown) => (outcome.error = error),
  });
  return Object.assign(outcome, { subscription });
}

const inFlight = (of_: RemotePool): number[] => of_.states().map((state) => state.inFlight);

describe('a pool with limits', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => {
    jest.restoreAllMocks();
    jest.useRealTimers();
  });

  it('gives no endpoint more than it may have; who waits gets the first place that is free', () => {
    const remotes = pool(2, { maxInFlight: 2 });
    const held = Array.from({ length: 4 }, () => pick(remotes));
    const late = pick(remotes);
    expect(late.site).toBeUndefined();
    expect(remotes.states()).toEqual([
      { name: 'd:1', state: 'closed', inFlight: 2, waiting: 1 },
      { name: 'd:2', state: 'closed', inFlight: 2, waiting: 1 },
    ]);
    held[3]?.subscription.unsubscribe();
    expect(late.site?.endpoint?.name).toBe('d:2');
    expect(inFlight(remotes)).toEqual([2, 2]);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('says which endpoints a leg could have, and why not the others, and takes none', () => {
    const remotes = pool(4, { maxInFlight: 1, breakerFailures: 1, breakerOpenMs: 1_000 });
    const names = (...excluded: (string | undefined)[]): unknown =>
      excluded.map((why, index) => ({ name: `d:${index + 1}`, ...(why && { excluded: why }) }));
    expect(remotes.considered()).toEqual(names(undefined, undefined, undefined, undefined));
    const [first, second] = [pick(remotes), pick(remotes)];
    jest.spyOn(client, 'run').mockReturnValue(throwError(() => new RemoteUnavailableError('d:2', 'connect')));
    second.site?.run(of()).subscribe({ error: () => undefined });
    second.subscription.unsubscribe();
    const except = new Set([remotes.endpoints[2]!]);
    expect(remotes.considered({ except })).toEqual(names('full', 'breaker_open', 'tried', undefined));
    expect(inFlight(remotes)).toEqual([1, 0, 0, 0]);
    jest.advanceTimersByTime(1_201);
    expect(remotes.considered({ except })).toEqual(names('full', undefined, 'tried', undefined));
    first.subscription.unsubscribe();
  });

  it('tells the trace of a request what was considered for it, each time that it is chosen for, and how its leg goes', () => {
    const remotes = pool(1, { name: 'decode', maxInFlight: 1 });
    const told: unknown[] = [];
    const leg = {
      firstPart: () => told.push('first'),
      ended: (...how: unknown[]) => told.push(how),
    };
    const trace: RequestTrace = {
      asked: () => undefined,
      considered: (...considered) => told.push(considered),
      leg: ({ id, endpoint }) => (told.push([id, endpoint]), leg),
    };
    const request = { ...of(), trace };
    const held = pick(remotes);
    let site: LegSite | undefined;
    const waiting = remotes.pick(request).subscribe((picked) => (site = picked));
    expect(told.splice(0)).toEqual([['decode', [{ name: 'd:1', excluded: 'full' }]]]);
    held.subscription.unsubscribe();
    expect(told.splice(0)).toEqual([['decode', [{ name: 'd:1' }]]]);
    const parts = new Subject<ResponsePart>();
    jest.spyOn(client, 'run').mockReturnValue(parts);
    const running = site!.run(request).subscribe();
    parts.next(jsonPart({}));
    parts.next(jsonPart({}));
    running.unsubscribe();
    expect(told.splice(0)).toEqual([[request.id, 'd:1'], 'first', ['left']]);
    site!.run(request).subscribe();
    parts.complete();
    expect(told.splice(0)).toEqual([[request.id, 'd:1'], ['complete']]);
    jest.spyOn(client, 'run').mockReturnValue(throwError(() => new RemoteUnavailableError('d:1', 'reset')));
    site!.run(request).subscribe({ error: () => undefined });
    expect(told.splice(0)).toEqual([
      [request.id, 'd:1'],
      ['failed', 'reset'],
    ]);
    waiting.unsubscribe();
  });

  it('lets pass what frees what others hold, and lets in nobody else for it', () => {
    const remotes = pool(1, { maxInFlight: 1, maxWaiting: 1 });
    const [held, waiting] = [pick(remotes), pick(remotes)];
    const urgent = pick(remotes, 'a', { isUrgent: true });
    expect(urgent.site?.endpoint?.name).toBe('d:1');
    expect(inFlight(remotes)).toEqual([2]);
    urgent.subscription.unsubscribe();
    expect({ inFlight: inFlight(remotes), waiting: waiting.site }).toEqual({ inFlight: [1], waiting: undefined });
    held.subscription.unsubscribe();
    expect(waiting.site?.endpoint?.name).toBe('d:1');
    waiting.subscription.unsubscribe();
    expect(inFlight(remotes)).toEqual([0]);
  });

  it('is fair between callers', () => {
    const remotes = pool(1, { maxInFlight: 1 });
    const first = pick(remotes, 'z');
    const waiting = ['a', 'a', 'a', 'b', 'b', 'c'].map((label) => pick(remotes, label));
    const order: string[] = [];
    for (let next: Pick | undefined = first; next !== undefined;) {
      next.subscription.unsubscribe();
      next = waiting.find((each) => each.site !== undefined && !each.subscription.closed);
      if (next !== undefined) order.push(next.label);
    }
    expect(order).toEqual(['a', 'b', 'c', 'a', 'b', 'a']);
    expect(inFlight(remotes)).toEqual([0]);
  });

  it('refuses when too many wait, or for too long, or when the request has no time left', () => {
    const remotes = pool(1, { maxInFlight: 1, maxWaiting: 2, waitTimeoutMs: 1_000 });
    pick(remotes);
    const [patient, hurried, third] = [
      pick(remotes),
      pick(remotes, 'a', { deadlineMs: performance.now() + 300 }),
      pick(remotes),
    ];
    const busy = { reason: 'busy', endpoint: 'none', status: 503, code: 'remote_busy', retryAfterSeconds: 1 };
    expect(third.error).toMatchObject(busy);
    jest.advanceTimersByTime(310);
    expect([patient.error, hurried.error]).toEqual([undefined, expect.objectContaining(busy)]);
    jest.advanceTimersByTime(700);
    expect(patient.error).toMatchObject(busy);
    expect(remotes.states()[0]).toMatchObject({ inFlight: 1, waiting: 0 });
    expect(jest.getTimerCount()).toBe(0);
    expect(pick(remotes, 'a', { deadlineMs: performance.now() - 1 }).error).toMatchObject(busy);
  });

  it('lets pass who waits for another endpoint', () => {
    const remotes = pool(2, { maxInFlight: 1 });
    const [, second] = remotes.endpoints;
    if (second === undefined) throw new Error('two endpoints');
    const held = [pick(remotes), pick(remotes)];
    const [choosy, any] = [pick(remotes, 'a', { except: new Set([second]) }), pick(remotes)];
    held.find(({ site }) => site?.endpoint === second)?.subscription.unsubscribe();
    expect([choosy.site, any.site?.endpoint]).toEqual([undefined, second]);
  });

  it('asks again when a slow picker has chosen what is full by then', () => {
    const chosen: Subject<Endpoint>[] = [];
    const slow: EndpointPicker = { pick: () => chosen[chosen.push(new Subject<Endpoint>()) - 1] ?? new Subject() };
    const remotes = pool(1, { maxInFlight: 1 }, slow);
    const [endpoint] = remotes.endpoints;
    if (endpoint === undefined) throw new Error('one endpoint');
    const [first, second] = [pick(remotes), pick(remotes)];
    chosen[0]?.next(endpoint);
    chosen[1]?.next(endpoint);
    expect([first.site?.endpoint, second.site, inFlight(remotes)]).toEqual([endpoint, undefined, [1]]);
    expect(chosen[1]?.observed).toBe(false);
    first.subscription.unsubscribe();
    chosen[2]?.next(endpoint);
    expect(second.site?.endpoint).toBe(endpoint);
  });

  it('fails when the picker chooses what it was not offered', () => {
    const odd: EndpointPicker = {
      pick: () => new Observable((subscriber) => subscriber.next(parseEndpoint('http://e:1'))),
    };
    expect(pick(pool(1, {}, odd)).error).toBeInstanceOf(Error);
  });

  it('survives that all who wait end at once, however many', () => {
    const remotes = pool(1, { maxInFlight: 1, maxWaiting: 5_000 });
    const first = pick(remotes);
    let given = 0;
    for (let index = 0; index < 5_000; index++) {
      const hasty: Subscription = remotes.pick(of()).subscribe(() => {
        given += 1;
        hasty.unsubscribe();
      });
    }
    first.subscription.unsubscribe();
    expect([given, inFlight(remotes)]).toEqual([5_000, [0]]);
  });

  it('loses no place whatever is cancelled, and whenever', () => {
    const steps = fc.array(
      fc.oneof(
        fc.record({ kind: fc.constant('pick' as const), label: fc.constantFrom('a', 'b', 'c') }),
        fc.record({ kind: fc.constant('leave' as const), which: fc.nat() }),
        fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(600) }),
      ),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 3 }), fc.integer({ min: 0, max: 4 }), (all, max, maxWaiting) => {
        const remotes = pool(2, { maxInFlight: max, maxWaiting, waitTimeoutMs: 1_000 });
        const picks: Pick[] = [];
        for (const step of all) {
          if (step.kind === 'pick') picks.push(pick(remotes, step.label));
          else if (step.kind === 'wait') jest.advanceTimersByTime(step.ms);
          else picks[step.which % Math.max(1, picks.length)]?.subscription.unsubscribe();
          const open = picks.filter(({ subscription }) => !subscription.closed);
          const holding = open.filter(({ site }) => site !== undefined).length;
          const [held = 0, alsoHeld = 0] = inFlight(remotes);
          expect(held + alsoHeld).toBe(holding);
          expect(Math.max(held, alsoHeld)).toBeLessThanOrEqual(max);
          expect(remotes.states()[0]?.waiting).toBe(open.length - holding);
          expect(open.length - holding).toBeLessThanOrEqual(maxWaiting);
          // Nobody waits while there is room.
          if (holding < 2 * max) expect(open.length).toBe(holding);
        }
        for (const { subscription } of picks) subscription.unsubscribe();
        expect([inFlight(remotes), jest.getTimerCount()]).toEqual([[0, 0], 0]);
      }),
      { numRuns: 100 },
    );
  });
});

describe('a pool with breakers', () => {
  afterEach(() => void jest.restoreAllMocks());

  /** Runs a leg on each pick, as `answer` says by endpoint. */
  function legs(
    remotes: RemotePool,
    answer: (name: string) => Observable<ResponsePart>,
  ): (count: number) => (string | undefined)[] {
    jest.spyOn(client, 'run').mockImplementation(({ name }) => answer(name));
    return (count) =>
      Array.from({ length: count }, () => {
        const picked = pick(remotes);
        picked.site?.run(of()).subscribe({ error: () => undefined });
        picked.subscription.unsubscribe();
        return picked.site?.endpoint?.name;
      });
  }

  const failing = (error: unknown): Observable<ResponsePart> => new Observable((subscriber) => subscriber.error(error));
  const answering = new Observable<ResponsePart>((subscriber) => {
    subscriber.next(jsonPart({}));
    subscriber.complete();
  });

  it('leaves one alone that fails, and finds out when it is back', async () => {
    const attempts: string[] = [];
    const remotes = pool(2, {
      breakerFailures: 3,
      breakerOpenMs: 40,
      onAttempt: ({ name }, result) => attempts.push(`${name} ${result}`),
    });
    let isUp = false;
    const run = legs(remotes, (name) =>
      name === 'd:2' && !isUp ? failing(new RemoteUnavailableError(name, 'connect')) : answering,
    );
    run(6);
    expect(remotes.states().map(({ state }) => state)).toEqual(['closed', 'open']);
    expect(new Set(run(5))).toEqual(new Set(['d:1']));
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(remotes.states()[1]?.state).toBe('half_open');
    expect(run(4).filter((name) => name === 'd:2')).toHaveLength(1);
    expect(remotes.states()[1]?.state).toBe('open');
    isUp = true;
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(run(4).filter((name) => name === 'd:2')).toHaveLength(2);
    expect(remotes.states()[1]?.state).toBe('closed');
    expect(attempts.filter((each) => each === 'd:2 connect')).toHaveLength(4);
    expect(new Set(attempts)).toEqual(new Set(['d:1 ok', 'd:2 connect', 'd:2 ok']));
  });

  it('lets in who waits when one that was left alone may be tried again, and all when it has answered', async () => {
    const remotes = pool(2, { maxInFlight: 2, breakerFailures: 1, breakerOpenMs: 40, waitTimeoutMs: 30_000 });
    const answers: Record<string, Observable<ResponsePart>> = {
      'd:1': new Subject<ResponsePart>(),
      'd:2': failing(new RemoteUnavailableError('d:2', 'connect')),
    };
    const run = legs(remotes, (name) => answers[name] ?? failing(new Error(name)));
    run(2);
    expect(remotes.states().map(({ state }) => state)).toEqual(['closed', 'open']);
    const held = [pick(remotes), pick(remotes)];
    expect(held.map(({ site }) => site?.endpoint?.name)).toEqual(['d:1', 'd:1']);
    const waiting = [pick(remotes), pick(remotes)];
    await new Promise((resolve) => setTimeout(resolve, 60));
    const trial = waiting.find(({ site }) => site !== undefined);
    expect(waiting.map(({ site }) => site?.endpoint?.name)).toEqual(['d:2', undefined]);
    answers['d:2'] = answering;
    trial?.site?.run(of()).subscribe();
    expect(waiting[1]?.site?.endpoint?.name).toBe('d:2');
    for (const { subscription } of [...held, ...waiting]) subscription.unsubscribe();
    expect(inFlight(remotes)).toEqual([0, 0]);
  });

  it('holds one place for a picker that chooses twice', () => {
    const chosen = new Subject<Endpoint>();
    const remotes = pool(2, {}, { pick: () => chosen });
    const picked = pick(remotes);
    for (const endpoint of remotes.endpoints) chosen.next(endpoint);
    expect([picked.site?.endpoint?.name, ...inFlight(remotes)]).toEqual(['d:1', 1, 0]);
    picked.subscription.unsubscribe();
    expect(inFlight(remotes)).toEqual([0, 0]);
  });

  it('leaves one alone at once that says it is about to stop, and not one that is busy', () => {
    const remotes = pool(3);
    const run = legs(remotes, (name) => {
      const code = { 'd:1': 'shutting_down', 'd:2': 'queue_full' }[name];
      return code === undefined
        ? answering
        : failing(new RemoteUnavailableError(name, 'busy', undefined, 503, undefined, code));
    });
    run(3);
    expect(remotes.states().map(({ state }) => state)).toEqual(['open', 'closed', 'closed']);
  });

  it('asks all the same when there is nobody else', () => {
    const remotes = pool(1, { breakerFailures: 2 });
    const run = legs(remotes, (name) => failing(new RemoteUnavailableError(name, 'connect')));
    expect(run(5)).toEqual(Array.from({ length: 5 }, () => 'd:1'));
    expect(remotes.states()[0]).toMatchObject({ state: 'open', inFlight: 0 });
  });

  it('leaves nobody alone that refuses, or that breaks off in the middle, or whose legs are left', () => {
    const attempts: string[] = [];
    const remotes = pool(1, { breakerFailures: 1, onAttempt: (_endpoint, result) => attempts.push(result) });
    legs(remotes, () => failing(new Error('400')))(1);
    legs(
      remotes,
      (name) =>
        new Observable((subscriber) => {
          subscriber.next(jsonPart({}));
          subscriber.error(new RemoteUnavailableError(name, 'reset'));
        }),
    )(1);
    jest.spyOn(client, 'run').mockReturnValue(new Subject<ResponsePart>());
    const left = pick(remotes);
    left.site?.run(of()).subscribe().unsubscribe();
    left.subscription.unsubscribe();
    expect([remotes.states()[0]?.state, attempts]).toEqual(['closed', ['refused', 'reset', 'cancelled']]);
  });
});
