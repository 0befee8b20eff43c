import { inferenceRequest, jsonPart, legOf, type InferenceRequest, type JsonObject } from '@baton/inference';
import { parseEndpoint, RemoteUnavailableError, type Endpoint, type LegSite, type PickOptions } from '@baton/remotes';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import {
  catchError,
  combineLatest,
  finalize,
  map,
  merge,
  NEVER,
  Observable,
  of,
  startWith,
  Subject,
  Subscription,
  timeout,
} from 'rxjs';
import { serialPlan } from '../connectors/cancellation.js';
import type { HandoffDescriptor, KvConnector, KvContract, ReleaseOutcome } from '../connectors/kv-connector.js';
import { HandoffLedger } from '../ledger/handoff-ledger.js';
import { CoordinationObserver } from '../observer.js';
import type { KvConnectors } from '../registry/kv-connectors.js';
import { HandoffAddresses } from '../trust/handoff-addresses.js';
import type { SiteSource, SplitSites } from './split-sites.js';
import { Split } from './split.js';

/** P names its KV in its answer, and nothing else does. */
class PullConnector implements KvConnector {
  readonly released: unknown[] = [];
  contract: KvContract = {
    order: 'serial',
    decoder: 'deferred',
    prefillMayAnswer: false,
    cancellation: serialPlan({ prefilling: 'await_answer', gap: 'release', transferring: 'close' }),
  };
  prefillLeg(request: InferenceRequest): InferenceRequest {
    return legOf(request, { leg: 'prefill' });
  }
  handoffOf(answer: JsonObject | undefined): HandoffDescriptor | undefined {
    return { params: { kv: answer?.['id'] ?? 'agreed' } };
  }
  decodeLeg(request: InferenceRequest, handoff: HandoffDescriptor | undefined): InferenceRequest {
    return legOf(request, { leg: 'decode', ...handoff?.params });
  }
  release({ params }: HandoffDescriptor): Observable<ReleaseOutcome> {
    this.released.push(params['kv']);
    return of('freed');
  }
}

interface Leg {
  readonly leg: InferenceRequest;
  readonly at: string;
  readonly parts: Subject<ReturnType<typeof jsonPart>>;
  isOver: boolean;
}

/** The first instance that may be had; what is asked while `isBusy` waits, for the same one. */
class Sites implements SiteSource {
  readonly legs: Leg[] = [];
  readonly #freed = new Subject<void>();
  isBusy = false;
  held = 0;
  private readonly endpoints: readonly Endpoint[];

  constructor(...names: readonly string[]) {
    this.endpoints = names.map((name) => parseEndpoint(`http://${name}:1`));
  }

  free(): void {
    this.isBusy = false;
    this.#freed.next();
  }

  pick(_request: InferenceRequest, { except }: PickOptions = {}): Observable<LegSite> {
    return new Observable((subscriber) => {
      const endpoint = this.endpoints.find((candidate) => except?.has(candidate) !== true);
      if (endpoint === undefined) return subscriber.error(new RemoteUnavailableError('none', 'no_endpoint'));
      const give = (): void => {
        this.held += 1;
        subscriber.add(() => (this.held -= 1));
        subscriber.next({ endpoint, run: (leg) => this.#run(endpoint.name, leg) });
      };
      if (!this.isBusy) return give();
      return this.#freed.subscribe(give);
    });
  }

  leg(index: number): Leg {
    const leg = this.legs[index];
    if (leg === undefined) throw new Error(`There is no leg ${index}.`);
    return leg;
  }

  #run(at: string, leg: InferenceRequest): ReturnType<LegSite['run']> {
    return new Observable((subscriber) => {
      const started: Leg = { leg, at, parts: new Subject(), isOver: false };
      this.legs.push(started);
      return started.parts.pipe(finalize(() => (started.isOver = true))).subscribe(subscriber);
    });
  }
}

/** Two attempts at once: the first answer, or the error of the first when both have failed. */
function both<T>(attempt: Observable<T>): Observable<T> {
  return new Observable((subscriber) => {
    const errors: unknown[] = [];
    const attempts = [new Subscription(), new Subscription()];
    attempts.forEach((own, index) => {
      subscriber.add(own);
      own.add(
        attempt.subscribe({
          next: (answer) => {
            for (const other of attempts) if (other !== own) other.unsubscribe();
            subscriber.next(answer);
            subscriber.complete();
          },
          error: (error: unknown) => {
            errors[index] = error;
            if (Object.keys(errors).length === attempts.length) subscriber.error(errors[0]);
          },
        }),
      );
    });
  });
}

const answer = ({ at, parts }: Leg): void => {
  parts.next(jsonPart({ id: `kv-of-${at}`, choices: [{ index: 0, text: 'a', finish_reason: 'stop' }] }));
  parts.complete();
};
const fail = ({ at, parts }: Leg, status: number): void =>
  parts.error(new RemoteUnavailableError(at, 'failed', undefined, status));

let connector: PullConnector;
let observer: CoordinationObserver;
let ledger: HandoffLedger;
let prefill: Sites;
let decode: Sites;
let settled: string[];
let cleanedUp: jest.SpiedFunction<CoordinationObserver['cleanedUp']>;

beforeEach(() => {
  jest.useFakeTimers();
  connector = new PullConnector();
  observer = new CoordinationObserver();
  settled = [];
  jest.spyOn(observer, 'settled').mockImplementation((how) => settled.push(how));
  cleanedUp = jest.spyOn(observer, 'cleanedUp');
  prefill = new Sites('p1', 'p2');
  decode = new Sites('d1');
});

afterEach(() => {
  expect({ prefill: prefill.held, decode: decode.held, open: ledger.open }).toEqual({ prefill: 0, decode: 0, open: 0 });
  expect([...prefill.legs, ...decode.legs].filter(({ isOver }) => !isOver)).toEqual([]);
  expect(jest.getTimerCount()).toBe(0);
  jest.useRealTimers();
});

function run(prefillWith: SplitSites['prefillWith'] = both, more: Partial<SplitSites> = {}) {
  ledger = new HandoffLedger(observer, { abandonedPrefillMs: 250 });
  // Only the active connector is asked for.
  const connectors = { active: connector } as unknown as KvConnectors;
  const split = new Split(connectors, ledger, observer, new HandoffAddresses({}), {});
  const log: unknown[] = [];
  const request = inferenceRequest('completions', { prompt: 'x' });
  const subscription = split.run(request, { prefill, decode, prefillWith, ...more }).subscribe({
    next: (part) => log.push(part.kind === 'json' ? part.body['id'] : part.kind),
    error: (error: unknown) => log.push(error),
    complete: () => log.push('complete'),
  });
  return { log, request, leave: () => subscription.unsubscribe() };
}

describe('attempts at a prefill', () => {
  it('each have an endpoint and an id of their own', () => {
    const { leave } = run();
    expect(prefill.legs.map(({ at }) => at)).toEqual(['p1:1', 'p2:1']);
    expect(new Set(prefill.legs.map(({ leg }) => leg.id)).size).toBe(2);
    leave();
    jest.advanceTimersByTime(250);
  });

  it('give D the first answer, and close the other when it does not come in a while', () => {
    const { log } = run();
    answer(prefill.leg(1));
    expect(decode.leg(0).leg.body).toMatchObject({ kv: 'kv-of-p2:1' });
    expect({ ended: prefill.legs.map(({ isOver }) => isOver), open: ledger.open }).toEqual({
      ended: [false, true],
      open: 2, // what D is about to take, and what may yet be said
    });
    jest.advanceTimersByTime(250);
    expect(prefill.leg(0).isOver).toBe(true);
    answer(decode.leg(0));
    expect(log).toEqual([expect.any(String), 'complete']);
    expect({ released: connector.released, settled }).toEqual({ released: [], settled: ['taken'] });
  });

  it('free the KV of one that answers while it is left', () => {
    run();
    answer(prefill.leg(0));
    answer(prefill.leg(1));
    expect(connector.released).toEqual(['kv-of-p2:1']);
    answer(decode.leg(0));
    expect(decode.leg(0).leg.body).toMatchObject({ kv: 'kv-of-p1:1' });
    expect(settled).toEqual(['freed', 'taken']);
    expect(cleanedUp).toHaveBeenCalledTimes(2); // the late answer, and its handoff; nothing of the one that is used
  });

  it('free the KV of an answer that is there and is not used', () => {
    // Waits for both and takes the second.
    const second = <T>(attempt: Observable<T>): Observable<T> =>
      combineLatest([attempt, attempt]).pipe(map(([, answer]) => answer));
    run(second);
    answer(prefill.leg(0));
    expect(connector.released).toEqual([]);
    answer(prefill.leg(1));
    expect({ released: connector.released, sent: decode.leg(0).leg.body['kv'] }).toEqual({
      released: ['kv-of-p1:1'],
      sent: 'kv-of-p2:1',
    });
    answer(decode.leg(0));
  });

  it('are over with the first answer, also where they are made to go on', () => {
    const { log } = run((attempt) => merge(attempt, attempt));
    answer(prefill.leg(0));
    answer(prefill.leg(1));
    expect(connector.released).toEqual(['kv-of-p2:1']);
    answer(decode.leg(0));
    expect({ log, decoded: decode.legs.length }).toEqual({ log: [expect.any(String), 'complete'], decoded: 1 });
  });

  it('give their endpoint back for the next one', () => {
    prefill = new Sites('p1');
    const { log } = run((attempt) => attempt.pipe(catchError(() => attempt)));
    fail(prefill.leg(0), 500);
    answer(prefill.leg(1));
    answer(decode.leg(0));
    expect(log).toEqual([expect.any(String), 'complete']);
  });

  it('give it back when they are left, too', () => {
    prefill = new Sites('p1');
    const cancellation = serialPlan({ prefilling: 'close', gap: 'release', transferring: 'close' });
    connector.contract = { ...connector.contract, cancellation };
    const { log } = run((attempt) => attempt.pipe(timeout({ first: 100, with: () => attempt })));
    jest.advanceTimersByTime(100);
    expect(prefill.legs.map(({ isOver }) => isOver)).toEqual([true, false]);
    answer(prefill.leg(1));
    answer(decode.leg(0));
    expect(log).toEqual([expect.any(String), 'complete']);
  });

  it('do not hold back the answer of a client that takes its time', () => {
    const { request } = run();
    request.valve.close();
    answer(prefill.leg(0));
    answer(prefill.leg(1));
    // What is left is nobody's business but its own.
    expect(request.valve.isOpen).toBe(false);
    request.valve.open();
    answer(decode.leg(0));
  });

  it('go on when one has failed', () => {
    const { log } = run();
    fail(prefill.leg(0), 500);
    expect(decode.legs).toEqual([]);
    answer(prefill.leg(1));
    expect(connector.released).toEqual([]);
    answer(decode.leg(0));
    expect(log).toEqual([expect.any(String), 'complete']);
  });

  it('fail when all have, and the manager may have the whole computed elsewhere', () => {
    const { log } = run();
    fail(prefill.leg(1), 500);
    expect(log).toEqual([]);
    fail(prefill.leg(0), 500);
    expect(log).toEqual([expect.objectContaining({ endpoint: 'p1:1' })]);
    const second = run(both, { withoutPrefill: () => of(jsonPart({ id: 'here', choices: [] })) });
    fail(prefill.leg(2), 500);
    fail(prefill.leg(3), 500);
    expect(second.log).toEqual(['here', 'complete']);
  });

  it('have no attempt on an endpoint that is held', () => {
    prefill = new Sites('p1');
    const { log } = run();
    expect(prefill.legs).toHaveLength(1);
    fail(prefill.leg(0), 500);
    expect(log).toEqual([expect.objectContaining({ endpoint: 'p1:1' })]);
  });

  it('do not meet on an endpoint that both have waited for', () => {
    prefill.isBusy = true;
    const { leave } = run();
    expect(prefill.legs).toEqual([]);
    prefill.free();
    expect(prefill.legs.map(({ at }) => at)).toEqual(['p1:1', 'p2:1']);
    leave();
    jest.advanceTimersByTime(250);
  });

  it('have one attempt at this instance, whatever is asked for', () => {
    const here = { endpoint: undefined, run: () => NEVER };
    const picked = jest.fn(() => NEVER.pipe(startWith(here)));
    const { leave, log } = run(both, { prefill: { pick: picked } });
    expect({ picked: picked.mock.calls.length, log }).toEqual({ picked: 2, log: [] });
    leave();
  });

  it('try another endpoint as a prefill alone does, but not the one that is held', () => {
    prefill = new Sites('p1', 'p2', 'p3');
    const { leave } = run();
    fail(prefill.leg(0), 502);
    expect(prefill.legs.map(({ at }) => at)).toEqual(['p1:1', 'p2:1', 'p3:1']);
    leave();
    jest.advanceTimersByTime(250);
  });

  it('are faulty when nothing comes of them', () => {
    expect(run(() => new Observable((subscriber) => subscriber.complete())).log).toEqual([
      expect.objectContaining({ message: expect.stringMatching(/ended without an answer/) }),
    ]);
  });
});

describe('a client that leaves', () => {
  it('while attempts run has both given a while to answer, and their KV freed', () => {
    const { leave, log } = run();
    leave();
    expect({ open: ledger.open, held: prefill.held }).toEqual({ open: 2, held: 2 });
    answer(prefill.leg(1));
    jest.advanceTimersByTime(249);
    answer(prefill.leg(0));
    expect(connector.released).toEqual(['kv-of-p2:1', 'kv-of-p1:1']);
    expect({ log, decoded: decode.legs }).toEqual({ log: [], decoded: [] });
  });

  it('while attempts wait for room leaves nothing', () => {
    prefill.isBusy = true;
    const { leave } = run();
    leave();
    prefill.free();
    expect(prefill.legs).toEqual([]);
  });

  it('in the gap, while the loser may still answer, has both freed', () => {
    decode.isBusy = true;
    const { leave } = run();
    answer(prefill.leg(0));
    leave();
    expect(connector.released).toEqual(['kv-of-p1:1']);
    answer(prefill.leg(1));
    expect(connector.released).toEqual(['kv-of-p1:1', 'kv-of-p2:1']);
  });

  it('while D answers has the handoff freed', () => {
    const { leave } = run();
    answer(prefill.leg(0));
    leave();
    jest.advanceTimersByTime(250);
    expect({ released: connector.released, isOver: decode.leg(0).isOver }).toEqual({
      released: ['kv-of-p1:1'],
      isOver: true,
    });
  });
});

describe('are not asked for', () => {
  it.each([
    ['where P is told of D', 'serial', 'first'],
    ['where P and D run at once', 'concurrent', 'first'],
  ] as const)('%s', (_what, order, decoder) => {
    connector.contract = { ...connector.contract, order, decoder };
    const prefillWith = jest.fn(both);
    const { leave } = run(prefillWith as SplitSites['prefillWith']);
    expect({ asked: prefillWith.mock.calls, legs: prefill.legs.length }).toEqual({ asked: [], legs: 1 });
    leave();
    jest.advanceTimersByTime(250);
  });
});
