import { bytesPart, inferenceRequest, invalidRequest, jsonPart, type ResponsePart } from '@baton/inference';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Test } from '@nestjs/testing';
import { concat, EMPTY, finalize, merge, NEVER, Observable, of, Subject, throwError, type Observer } from 'rxjs';
import { CoordinationModule } from '../coordination.module.js';
import type { DisaggregatedRequestManager, LocalExecution } from '../managers/disaggregated-request-manager.js';
import { CoordinationObserver } from '../observer.js';
import { ManagerRegistry } from '../registry/manager-registry.js';
import { ContainedFault } from './containment.js';
import { DispatchCounters } from './dispatch-counters.js';
import { Dispatcher } from './dispatcher.js';

const FIRST_PART_TIMEOUT_MS = 1_000;
const request = inferenceRequest('completions', { prompt: 'x', stream: true });
const first = bytesPart(new Uint8Array([1]));
const second = bytesPart(new Uint8Array([2]));
const broken = new Error('broken policy');

let registry: ManagerRegistry;
let dispatcher: Dispatcher;
let counters: DispatchCounters;
let failed: jest.SpiedFunction<CoordinationObserver['failed']>;
const onFault = jest.fn<(error: Error) => void>();
const onAnswering = jest.fn<(manager: string) => void>();

/** A source that counts who is subscribed to it. */
function counted(source: Observable<unknown>): {
  source: Observable<unknown>;
  open: () => number;
  times: () => number;
} {
  let open = 0;
  let times = 0;
  const observed = new Observable<unknown>((subscriber) => {
    open += 1;
    times += 1;
    subscriber.add(() => (open -= 1));
    return source.subscribe(subscriber);
  });
  return { source: observed, open: () => open, times: () => times };
}

/** A manager of a plugin, which may answer with anything. */
function plug(name: string, priority: number, dispatch: (...args: never[]) => unknown): void {
  const manager = { dispatch } as unknown as DisaggregatedRequestManager;
  const containment = { firstPartTimeoutMs: FIRST_PART_TIMEOUT_MS, isOff: false, onFault };
  registry.swap({ remove: [], add: [{ manager, name, priority, origin: 'acme@1.0.0', containment }] });
}

const localPart = jsonPart({ by: 'local' });
const local: LocalExecution = () => of(localPart);

function dispatchAll(): { parts: ResponsePart[]; observer: jest.Mocked<Observer<ResponsePart>>; leave: () => void } {
  const parts: ResponsePart[] = [];
  const observer = {
    next: jest.fn((part: ResponsePart) => void parts.push(part)),
    error: jest.fn(),
    complete: jest.fn(),
  };
  const answer = dispatcher.dispatch(request, local, undefined, onAnswering);
  const subscription = (answer?.parts ?? local(request)).subscribe(observer);
  return { parts, observer, leave: () => subscription.unsubscribe() };
}

describe('Containment', () => {
  beforeEach(async () => {
    const module = await Test.createTestingModule({
      imports: [CoordinationModule.forRoot({ connector: 'embedded', managers: [{ name: 'local', enabled: false }] })],
    }).compile();
    await module.init();
    registry = module.get(ManagerRegistry);
    dispatcher = module.get(Dispatcher);
    counters = module.get(DispatchCounters);
    failed = jest.spyOn(module.get(CoordinationObserver), 'failed');
    onFault.mockReset();
    onAnswering.mockReset();
    jest.useFakeTimers();
  });
  afterEach(() => {
    expect(jest.getTimerCount()).toBe(0);
    jest.useRealTimers();
  });

  describe.each<[string, () => unknown, string]>([
    ['null', () => null, 'no Observable'],
    ['a promise that fails', () => Promise.reject(broken), 'no Observable'],
    ['an object', () => ({ subscribe: 7 }), 'no Observable'],
    [
      'a throw',
      () => {
        throw broken;
      },
      'broken policy',
    ],
    [
      'a throw of something that is no error',
      () => {
        // eslint-disable-next-line @typescript-eslint/only-throw-error
        throw 'text';
      },
      'no error',
    ],
  ])('when a manager answers with %s', (_what, dispatch, message) => {
    it('asks the next at once, and tells of the fault', () => {
      plug('faulty', 1, dispatch);
      plug('next', 2, () => of(first));
      const { parts, observer } = dispatchAll();
      expect(parts).toEqual([first]);
      expect(observer.complete).toHaveBeenCalledTimes(1);
      expect(onFault.mock.calls.map(([error]) => error.message)).toEqual([expect.stringContaining(message)]);
      expect(failed).toHaveBeenCalledTimes(1);
      expect(counters.of('faulty')).toMatchObject({ asked: 1, took: 0, failed: 1 });
      expect(counters.of('next')).toMatchObject({ asked: 1, took: 1, failed: 0 });
      // The header is that of whoever took it in the end.
      expect(onAnswering).not.toHaveBeenCalled();
    });
  });

  describe.each<[string, Observable<unknown>, number, string]>([
    ['fails with its own error', throwError(() => broken), 0, 'broken policy'],
    ['emits what is no part', concat(of({ kind: 'text', text: 'x' }), NEVER), 0, 'no part of an answer'],
    ['emits null', concat(of(null), NEVER), 0, 'no part of an answer'],
    ['emits bytes that are none', concat(of({ kind: 'bytes', bytes: 'x' }), NEVER), 0, 'no part of an answer'],
    ['emits a body that is none', concat(of({ kind: 'json', body: null }), NEVER), 0, 'no part of an answer'],
    ['completes without a part', EMPTY, 0, 'completed without a part'],
    ['stays silent', NEVER, FIRST_PART_TIMEOUT_MS, 'did not begin to answer within 1000 ms'],
  ])('when the answer of a manager %s', (_what, answer, afterMs, message) => {
    it('is answered by the next manager, and leaves nothing subscribed', () => {
      const faulty = counted(answer);
      const next = counted(concat(of(first), NEVER));
      plug('faulty', 1, () => faulty.source);
      plug('next', 2, () => next.source);
      const { parts, observer, leave } = dispatchAll();
      if (afterMs > 0) {
        jest.advanceTimersByTime(afterMs - 1);
        expect([faulty.open(), next.open()]).toEqual([1, 0]);
        jest.advanceTimersByTime(1);
      }
      expect(parts).toEqual([first]);
      expect([faulty.open(), next.open()]).toEqual([0, 1]);
      expect(onFault.mock.calls.map(([error]) => error.message)).toEqual([expect.stringContaining(message)]);
      expect(onAnswering.mock.calls).toEqual([['next']]);
      expect(failed).toHaveBeenCalledTimes(1);
      expect(counters.of('faulty')).toMatchObject({ asked: 1, took: 1, failed: 1 });
      leave();
      expect([faulty.open(), next.open()]).toEqual([0, 0]);
      expect([faulty.times(), next.times()]).toEqual([1, 1]);
      expect(observer.error).not.toHaveBeenCalled();
      expect(onFault).toHaveBeenCalledTimes(1);
    });

    it('is answered by this instance when no manager is left', () => {
      const faulty = counted(answer);
      plug('faulty', 1, () => faulty.source);
      const { parts, observer } = dispatchAll();
      jest.advanceTimersByTime(afterMs);
      expect(parts).toEqual([localPart]);
      expect(observer.complete).toHaveBeenCalledTimes(1);
      expect(faulty.open()).toBe(0);
      expect(onAnswering.mock.calls).toEqual([['local']]);
    });
  });

  it('goes on to the third when the second has a fault as well', () => {
    plug('first', 1, () => EMPTY);
    plug('declines', 2, () => undefined);
    plug('second', 3, () => throwError(() => broken));
    plug('third', 4, () => of(first));
    expect(dispatchAll().parts).toEqual([first]);
    expect(onAnswering.mock.calls).toEqual([['second'], ['third']]);
    expect(onFault).toHaveBeenCalledTimes(2);
  });

  it('gives each manager its own time to begin', () => {
    plug('silent', 1, () => NEVER);
    plug('also-silent', 2, () => NEVER);
    const { parts } = dispatchAll();
    jest.advanceTimersByTime(2 * FIRST_PART_TIMEOUT_MS - 1);
    expect(parts).toEqual([]);
    jest.advanceTimersByTime(1);
    expect(parts).toEqual([localPart]);
  });

  it('has left a manager that failed in the middle of being subscribed to before the next begins', () => {
    let isHandlerBusy = false;
    const handler: LocalExecution = () =>
      new Observable((subscriber) => {
        if (isHandlerBusy) return subscriber.error(new Error('busy'));
        isHandlerBusy = true;
        if (isFirst) isFirst = false;
        else subscriber.next(localPart);
        return () => (isHandlerBusy = false);
      });
    let isFirst = true;
    plug('faulty', 1, (_request: never, run: LocalExecution) => merge(run(request), of('garbage'), run(request)));
    const parts: ResponsePart[] = [];
    const answer = dispatcher.dispatch(request, handler)?.parts.subscribe((part) => parts.push(part));
    expect(parts).toEqual([localPart]);
    answer?.unsubscribe();
    expect(isHandlerBusy).toBe(false);
  });

  it('passes on what a manager refuses on purpose', () => {
    plug('refuses', 1, () => throwError(() => invalidRequest('Not here.', 'prompt')));
    plug('next', 2, () => of(first));
    const { parts, observer } = dispatchAll();
    expect(parts).toEqual([]);
    expect(observer.error).toHaveBeenCalledWith(expect.objectContaining({ message: 'Not here.' }));
    expect(onFault).not.toHaveBeenCalled();
  });

  it('passes on what the next manager refuses', () => {
    plug('faulty', 1, () => EMPTY);
    plug('refuses', 2, () => {
      throw invalidRequest('Not here.', 'prompt');
    });
    expect(dispatchAll().observer.error).toHaveBeenCalledWith(expect.objectContaining({ message: 'Not here.' }));
    expect(counters.of('refuses')).toMatchObject({ asked: 1, refused: 1, failed: 0 });
  });

  it.each<[string, Observable<unknown>]>([
    ['fails', throwError(() => broken)],
    ['emits what is no part', of('x')],
  ])('cannot help an answer that %s after its first part, and tells of it', (_what, rest) => {
    plug('faulty', 1, () => concat(of(first), rest));
    plug('next', 2, () => of(second));
    const { parts, observer } = dispatchAll();
    expect(parts).toEqual([first]);
    expect(observer.error).toHaveBeenCalledTimes(1);
    expect(onFault).toHaveBeenCalledTimes(1);
    expect(counters.of('faulty').failed).toBe(1);
    // Whoever renders the answer tells of its failure.
    expect(failed).not.toHaveBeenCalled();
    expect(onAnswering).not.toHaveBeenCalled();
  });

  it('waits for later parts as long as they take', () => {
    const source = new Subject<ResponsePart>();
    plug('slow', 1, () => source);
    const { parts } = dispatchAll();
    source.next(first);
    jest.advanceTimersByTime(100 * FIRST_PART_TIMEOUT_MS);
    source.next(second);
    source.complete();
    expect(parts).toEqual([first, second]);
    expect(onFault).not.toHaveBeenCalled();
  });

  it('blames nobody when the client leaves, and leaves nothing behind', () => {
    const silent = counted(NEVER);
    plug('silent', 1, () => silent.source);
    const { leave } = dispatchAll();
    expect(silent.open()).toBe(1);
    leave();
    expect(silent.open()).toBe(0);
    jest.advanceTimersByTime(2 * FIRST_PART_TIMEOUT_MS);
    expect(onFault).not.toHaveBeenCalled();
  });

  it('does not let a throw in a teardown keep the next from answering', () => {
    const throwing = NEVER.pipe(
      finalize(() => {
        throw broken;
      }),
    );
    plug('silent', 1, () => throwing);
    plug('next', 2, () => of(first));
    const { parts } = dispatchAll();
    jest.advanceTimersByTime(FIRST_PART_TIMEOUT_MS);
    expect(parts).toEqual([first]);
  });

  it("lets the next answer when a plugin's connector has a fault in a manager of the application", () => {
    const faults = concat(
      of(first),
      throwError(() => new ContainedFault('no leg')),
    );
    registry.register({ dispatch: () => throwError(() => new ContainedFault('no leg')) }, { name: 'own', priority: 1 });
    plug('begins', 3, () => faults);
    plug('next', 2, () => throwError(() => new ContainedFault('no call')));
    const { parts, observer } = dispatchAll();
    expect(parts).toEqual([first]);
    expect(observer.error).toHaveBeenCalledTimes(1);
    expect(onAnswering.mock.calls).toEqual([['next'], ['begins']]);
    // Whoever had the fault has told of it.
    expect(onFault).not.toHaveBeenCalled();
  });

  it("does not touch managers of the application: their failures are the request's", () => {
    registry.register({ dispatch: () => EMPTY }, { name: 'own', priority: 1 });
    plug('next', 2, () => of(first));
    const { parts, observer } = dispatchAll();
    expect(parts).toEqual([]);
    expect(observer.complete).toHaveBeenCalledTimes(1);
  });

  it('asks the managers of the snapshot that the request started with', () => {
    plug('faulty', 1, () => NEVER);
    plug('next', 2, () => of(first));
    const { parts } = dispatchAll();
    registry.swap({ remove: ['next'], add: [] });
    plug('newcomer', 0, () => of(second));
    jest.advanceTimersByTime(FIRST_PART_TIMEOUT_MS);
    expect(parts).toEqual([first]);
  });
});
