import { inferenceRequest, type JsonObject } from '@baton/inference';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { EMPTY, NEVER, Observable, of, Subject, throwError } from 'rxjs';
import { serialPlan } from '../connectors/cancellation.js';
import type {
  HandoffDescriptor,
  KvConnector,
  KvContract,
  ReleaseMeans,
  ReleaseOutcome,
} from '../connectors/kv-connector.js';
import { CoordinationObserver } from '../observer.js';
import { HandoffLedger } from './handoff-ledger.js';
import type { Handoff } from './handoff.js';

const descriptor: HandoffDescriptor = { params: { remote_request_id: 'h-1' } };
const means: ReleaseMeans = { request: inferenceRequest('chat', {}), decode: () => EMPTY };

/** A connector of which only the release is asked. */
class ReleasingConnector implements KvConnector {
  readonly released: HandoffDescriptor[] = [];
  contract: KvContract = {
    order: 'serial',
    decoder: 'deferred',
    prefillMayAnswer: false,
    leaseMs: 30_000,
    cancellation: serialPlan({ prefilling: 'await_answer', gap: 'release', transferring: 'close' }),
  };
  constructor(private readonly outcome: () => Observable<ReleaseOutcome>) {}
  release(handoff: HandoffDescriptor): Observable<ReleaseOutcome> {
    this.released.push(handoff);
    return this.outcome();
  }
  prefillLeg(): never {
    throw new Error('not asked here');
  }
  decodeLeg(): never {
    throw new Error('not asked here');
  }
  handoffOf(_answer: JsonObject): undefined {
    return undefined;
  }
}

let observer: CoordinationObserver;
let settled: jest.SpiedFunction<CoordinationObserver['settled']>;
let ledger: HandoffLedger;

beforeEach(() => {
  jest.useFakeTimers();
  observer = new CoordinationObserver();
  settled = jest.spyOn(observer, 'settled');
  ledger = new HandoffLedger(observer, { releaseTimeoutMs: 1_000, transferTimeoutMs: 5_000 });
});

afterEach(() => {
  jest.useRealTimers();
});

/** Owes a handoff; `leave` unsubscribes. */
function owe(connector: KvConnector): { handoff: Handoff; leave: () => void } {
  const held: Handoff[] = [];
  const subscription = ledger.owe(connector, means, descriptor).subscribe((handoff) => held.push(handoff));
  const [handoff] = held;
  if (handoff === undefined) throw new Error('nothing was handed over');
  return { handoff, leave: () => subscription.unsubscribe() };
}

describe('HandoffLedger', () => {
  it('owes from subscription on, and releases once when nobody took it', () => {
    const connector = new ReleasingConnector(() => of('freed'));
    const resource = ledger.owe(connector, means, descriptor);
    expect(ledger.open).toBe(0);
    const subscription = resource.subscribe();
    expect(ledger.open).toBe(1);
    subscription.unsubscribe();
    subscription.unsubscribe();
    expect(connector.released).toEqual([descriptor]);
    expect(ledger.open).toBe(0);
    expect(settled.mock.calls.map(([how]) => how)).toEqual(['freed']);
  });

  it('is settled by the first part of a decode, and releases nothing then', () => {
    const connector = new ReleasingConnector(() => of('freed'));
    const { handoff, leave } = owe(connector);
    const parts = new Subject<string>();
    const got: string[] = [];
    handoff.taking(parts).subscribe((part) => got.push(part));
    expect(handoff.isTaken).toBe(false);
    expect(ledger.open).toBe(1);
    parts.next('a');
    parts.next('b');
    expect(got).toEqual(['a', 'b']);
    expect(handoff.isTaken).toBe(true);
    expect(ledger.open).toBe(0);
    leave();
    expect(connector.released).toEqual([]);
    expect(settled.mock.calls.map(([how]) => how)).toEqual(['taken']);
  });

  it.each([
    ['fails', throwError(() => new Error('no part'))],
    ['ends', EMPTY],
  ])('still owes when a decode %s without a part', (_how, parts) => {
    const connector = new ReleasingConnector(() => of('freed'));
    const { handoff, leave } = owe(connector);
    handoff.taking(parts).subscribe({ error: () => undefined });
    expect(handoff.isTaken).toBe(false);
    leave();
    expect(connector.released).toHaveLength(1);
  });

  it.each([
    ['lets a decode that was told of it finish its transfer', true],
    ['frees it at once while a decode is still waited for', false],
  ])('%s, where the plan says that transfers are finished', (_what, isSent) => {
    const connector = new ReleasingConnector(() => of('freed'));
    Object.assign(connector, {
      contract: {
        ...connector.contract,
        cancellation: serialPlan({ prefilling: 'close', gap: 'release', transferring: 'finish' }),
      },
    });
    const { handoff, leave } = owe(connector);
    const parts = new Subject<string>();
    const decode = handoff.taking(parts).subscribe();
    if (isSent) handoff.sent();
    decode.unsubscribe();
    leave();
    expect(parts.observed).toBe(isSent);
    expect(connector.released).toHaveLength(isSent ? 0 : 1);
    parts.next('a');
    expect(settled.mock.calls.map(([how]) => how)).toEqual([isSent ? 'taken' : 'freed']);
    expect(ledger.open).toBe(0);
  });

  it('owes nothing before it is said what', () => {
    const connector = new ReleasingConnector(() => of('freed'));
    const held: Handoff[] = [];
    const resource = ledger.owe(connector, means);
    resource.subscribe((handoff) => held.push(handoff)).unsubscribe();
    expect(settled).not.toHaveBeenCalled();
    const later = resource.subscribe((handoff) => held.push(handoff));
    held[1]?.is(descriptor);
    held[1]?.is({ params: { second: 'attempt' } });
    expect(ledger.open).toBe(1);
    later.unsubscribe();
    expect(connector.released).toEqual([{ params: { second: 'attempt' } }]);
    expect(ledger.open).toBe(0);
  });

  it('asks for no release of a handoff whose prefill has failed', () => {
    const connector = new ReleasingConnector(() => NEVER);
    const { handoff, leave } = owe(connector);
    handoff.void();
    leave();
    expect(connector.released).toEqual([]);
    expect(settled.mock.calls.map(([how]) => how)).toEqual(['freed']);
  });

  it('bounds a release that hangs, gives it up, and books it as unknown', () => {
    const givenUp = jest.fn();
    const { leave } = owe(new ReleasingConnector(() => new Observable(() => givenUp)));
    leave();
    jest.advanceTimersByTime(999);
    expect(ledger.open).toBe(1);
    expect(settled).not.toHaveBeenCalled();
    jest.advanceTimersByTime(1);
    expect(ledger.open).toBe(0);
    expect(settled.mock.calls.map(([how]) => how)).toEqual(['unknown']);
    expect(givenUp).toHaveBeenCalledTimes(1);
  });

  it.each<[string, () => Observable<ReleaseOutcome>]>([
    ['fails', () => throwError(() => new Error('unreachable'))],
    ['says nothing', () => EMPTY],
    [
      'throws',
      () => {
        throw new Error('no address');
      },
    ],
  ])('books a release that %s as unknown', (_what, outcome) => {
    const { leave } = owe(new ReleasingConnector(outcome));
    expect(leave).not.toThrow();
    expect(ledger.open).toBe(0);
    expect(settled.mock.calls.map(([how]) => how)).toEqual(['unknown']);
  });

  it('takes the first word of a release for its outcome, and asks no further', () => {
    const { leave } = owe(new ReleasingConnector(() => of<ReleaseOutcome[]>('freed', 'unknown')));
    leave();
    expect(settled.mock.calls.map(([how]) => how)).toEqual(['freed']);
  });

  it('books for how long KV was held for nobody', () => {
    const outcome = new Subject<ReleaseOutcome>();
    const { leave } = owe(new ReleasingConnector(() => outcome));
    jest.advanceTimersByTime(500);
    expect(ledger.oldestAgeMs).toBe(500);
    leave();
    jest.advanceTimersByTime(300);
    outcome.next('freed');
    expect(settled.mock.calls).toEqual([['freed', 300]]);
    expect(ledger.oldestAgeMs).toBe(0);
  });

  it('books how long cleaning up took, without the rest of a lease', () => {
    const cleanedUp = jest.spyOn(observer, 'cleanedUp');
    const answer = new Subject<ReleaseOutcome>();
    owe(new ReleasingConnector(() => answer)).leave();
    jest.advanceTimersByTime(300);
    expect(cleanedUp).not.toHaveBeenCalled();
    answer.next('freed');
    owe(new ReleasingConnector(() => of('held'))).leave();
    expect(cleanedUp.mock.calls).toEqual([[300], [0]]);
  });

  it('books how long a prefill that was left went on', () => {
    const cleanedUp = jest.spyOn(observer, 'cleanedUp');
    const abandoned = { mayAnswer: () => true, leaves: () => undefined };
    const left = ledger.awaiting(NEVER, new ReleasingConnector(() => of('freed')), abandoned).subscribe();
    left.unsubscribe();
    jest.advanceTimersByTime(10_000);
    expect(cleanedUp.mock.calls).toEqual([[250]]);
    ledger.awaiting(of(1), new ReleasingConnector(() => of('freed')), abandoned).subscribe();
    expect(cleanedUp).toHaveBeenCalledTimes(1);
  });

  it('books the end of the lease for KV that nothing frees', () => {
    const { leave } = owe(new ReleasingConnector(() => of('held')));
    jest.advanceTimersByTime(10_000);
    leave();
    expect(settled.mock.calls).toEqual([['lease_expired', 20_000]]);
  });

  it('sends no D to take what may be freed under it', () => {
    const connector = new ReleasingConnector(() => of('freed'));
    connector.contract = {
      ...connector.contract,
      cancellation: serialPlan({ prefilling: 'close', gap: 'decode_and_cancel', transferring: 'close' }),
    };
    const { leave } = owe(connector);
    jest.advanceTimersByTime(15_001);
    leave();
    expect(connector.released).toEqual([]);
    expect(settled.mock.calls).toEqual([['lease_expired', 14_999]]);
  });

  it('keeps its releases apart', () => {
    const first = new Subject<ReleaseOutcome>();
    const second = new Subject<ReleaseOutcome>();
    const a = owe(new ReleasingConnector(() => first));
    const b = owe(new ReleasingConnector(() => second));
    a.leave();
    b.leave();
    expect(ledger.open).toBe(2);
    second.next('freed');
    expect(ledger.open).toBe(1);
    first.next('freed');
    expect(ledger.open).toBe(0);
    expect(settled).toHaveBeenCalledTimes(2);
  });

  it('lets a shutdown wait for the releases under way, and no longer than their bounds', async () => {
    const outcome = new Subject<ReleaseOutcome>();
    owe(new ReleasingConnector(() => outcome)).leave();
    let isDone = false;
    const waiting = ledger.beforeApplicationShutdown().then(() => (isDone = true));
    await jest.advanceTimersByTimeAsync(500);
    expect(isDone).toBe(false);
    outcome.next('freed');
    await waiting;

    owe(new ReleasingConnector(() => NEVER)); // a request that never ends
    const bounded = ledger.beforeApplicationShutdown();
    await jest.advanceTimersByTimeAsync(7_000);
    await bounded;
    expect(ledger.open).toBe(1);
  });

  describe('settled', () => {
    const freed = (): ReleasingConnector => new ReleasingConnector(() => of('freed'));

    it('waits for what is owed, and not for what is owed later', async () => {
      const before = owe(freed());
      const wait = ledger.settled(10_000);
      owe(freed());
      let isDone = false;
      const done = wait.then((outcome) => (isDone = outcome));
      await jest.advanceTimersByTimeAsync(1_000);
      expect(isDone).toBe(false);
      before.leave();
      await done;
      expect([isDone, ledger.open]).toEqual([true, 1]);
    });

    it('waits for what a prefill that was left before leaves behind later', async () => {
      const outcome = new Subject<ReleaseOutcome>();
      const prefill = new Subject<number>();
      const abandoned = { mayAnswer: () => true, leaves: () => ({ means, descriptor }) };
      const connector = new ReleasingConnector(() => outcome);
      ledger.awaiting(prefill, connector, abandoned).subscribe().unsubscribe();
      let isDone = false;
      const done = ledger.settled(10_000).then((holds) => (isDone = holds));
      prefill.next(1);
      prefill.complete();
      await jest.advanceTimersByTimeAsync(500);
      expect([connector.released.length, isDone]).toEqual([1, false]);
      outcome.next('freed');
      await done;
      expect(isDone).toBe(true);
    });

    it('gives up after its time, or when it is told to', async () => {
      owe(freed());
      const wait = ledger.settled(500);
      await jest.advanceTimersByTimeAsync(500);
      expect(await wait).toBe(false);
      const cut = new AbortController();
      const another = ledger.settled(500, cut.signal);
      cut.abort();
      expect(await another).toBe(false);
    });
  });
});
