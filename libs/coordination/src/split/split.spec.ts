import {
  bytesPart,
  inferenceRequest,
  InferenceError,
  jsonPart,
  legOf,
  SSE_DONE,
  sseEvent,
  type InferenceRequest,
  type JsonObject,
  type ResponsePart,
} from '@baton/inference';
import {
  ConnectorMismatchError,
  parseEndpoint,
  RemoteUnavailableError,
  type Endpoint,
  type LegSite,
} from '@baton/remotes';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { defer, EMPTY, finalize, NEVER, Observable, of, startWith, Subject, switchMap, throwError } from 'rxjs';
import { concurrentPlan, serialPlan } from '../connectors/cancellation.js';
import type {
  HandoffDescriptor,
  KvConnector,
  KvContract,
  LegSites,
  ReleaseMeans,
  ReleaseOutcome,
} from '../connectors/kv-connector.js';
import { HandoffLedger } from '../ledger/handoff-ledger.js';
import { CoordinationObserver } from '../observer.js';
import type { KvConnectors } from '../registry/kv-connectors.js';
import { HandoffAddresses } from '../trust/handoff-addresses.js';
import type { SiteSource, SplitSites } from './split-sites.js';
import { Split } from './split.js';

/** A protocol of which the test says how it behaves; it counts what it is asked for. */
class ScriptedConnector implements KvConnector {
  readonly released: HandoffDescriptor[] = [];
  mismatch: Error | undefined;
  handsOver = true;
  freeing: (means: ReleaseMeans) => Observable<ReleaseOutcome> = () => of('freed');
  contract: KvContract = {
    order: 'serial',
    decoder: 'deferred',
    prefillMayAnswer: false,
    cancellation: serialPlan({ prefilling: 'close', gap: 'release', transferring: 'close' }),
  };
  rescueLeg?: KvConnector['rescueLeg'];
  shareOf?: KvConnector['shareOf'];

  rendezvous(_request: InferenceRequest, { prefill, decode }: LegSites): Observable<JsonObject> {
    return of({ prefill: prefill.endpoint?.name, decode: decode?.endpoint?.name });
  }
  prefillLeg(request: InferenceRequest, agreed: JsonObject): InferenceRequest {
    return legOf(request, { leg: 'prefill', agreed, stream: false });
  }
  handoffOf(answer: JsonObject | undefined, agreed: JsonObject): HandoffDescriptor | undefined {
    return this.handsOver ? { params: { from: answer?.['id'] ?? 'agreed', agreed } } : undefined;
  }
  decodeLeg(request: InferenceRequest, handoff: HandoffDescriptor | undefined): InferenceRequest {
    return legOf(request, { leg: 'decode', stream: request.stream, handoff: handoff?.params });
  }
  assertTakes(): Observable<never> {
    return this.mismatch === undefined ? EMPTY : throwError(() => this.mismatch);
  }
  release(handoff: HandoffDescriptor, means: ReleaseMeans): Observable<ReleaseOutcome> {
    this.released.push(handoff);
    return this.freeing(means);
  }
}

/** A leg that was started, and what the test lets it answer. */
interface StartedLeg {
  readonly leg: InferenceRequest;
  readonly at: string;
  readonly parts: Subject<ResponsePart>;
  isEnded: boolean;
}

/** Instances in turn; counts what is held. */
class Sites implements SiteSource {
  readonly legs: StartedLeg[] = [];
  held = 0;
  picked = 0;
  readonly endpoints: readonly Endpoint[];

  constructor(...names: readonly string[]) {
    this.endpoints = names.map((name) => parseEndpoint(`http://${name}:1`));
  }

  pick(_request: InferenceRequest, { except }: { except?: ReadonlySet<Endpoint> } = {}): Observable<LegSite> {
    return new Observable((subscriber) => {
      const endpoint = this.endpoints.find((candidate) => except?.has(candidate) !== true);
      if (endpoint === undefined) return subscriber.error(new RemoteUnavailableError('none', 'no_endpoint'));
      this.picked += 1;
      this.held += 1;
      subscriber.add(() => (this.held -= 1));
      subscriber.next({ endpoint, run: (leg) => this.run(endpoint, leg) });
    });
  }

  private run(endpoint: Endpoint, leg: InferenceRequest): Observable<ResponsePart> {
    return new Observable((subscriber) => {
      const started: StartedLeg = { leg, at: endpoint.name, parts: new Subject(), isEnded: false };
      this.legs.push(started);
      return started.parts.pipe(finalize(() => (started.isEnded = true))).subscribe(subscriber);
    });
  }
}

const ANSWER = {
  id: 'p-1',
  choices: [{ index: 0, text: 'The', finish_reason: 'length' }],
  usage: { prompt_tokens: 7, completion_tokens: 1, total_tokens: 8, prompt_tokens_details: { cached_tokens: 3 } },
};
const TOKEN = bytesPart(sseEvent({ choices: [{ index: 0, text: 'a', finish_reason: null }] }));
const LAST = bytesPart(sseEvent({ choices: [{ index: 0, text: 'b', finish_reason: 'stop' }] }));

let connector: ScriptedConnector;
let observer: CoordinationObserver;
let ledger: HandoffLedger;
let split: Split;
let prefill: Sites;
let decode: Sites;
let settled: jest.SpiedFunction<CoordinationObserver['settled']>;
let retried: jest.SpiedFunction<CoordinationObserver['retried']>;
let fellBack: jest.SpiedFunction<CoordinationObserver['fellBack']>;

beforeEach(() => {
  jest.useFakeTimers();
  connector = new ScriptedConnector();
  observer = new CoordinationObserver();
  settled = jest.spyOn(observer, 'settled');
  retried = jest.spyOn(observer, 'retried');
  fellBack = jest.spyOn(observer, 'fellBack');
  const options = { releaseTimeoutMs: 1_000, transferTimeoutMs: 5_000 };
  ledger = new HandoffLedger(observer, options);
  // Only the active connector is asked for.
  split = new Split(
    { active: connector } as unknown as KvConnectors,
    ledger,
    observer,
    new HandoffAddresses(options),
    options,
  );
  prefill = new Sites('p1', 'p2');
  decode = new Sites('d1', 'd2');
});

afterEach(() => {
  expect({ prefill: prefill.held, decode: decode.held, open: ledger.open }).toEqual({ prefill: 0, decode: 0, open: 0 });
  jest.useRealTimers();
});

function run(body: JsonObject = { prompt: 'x', stream: true }, extra: Partial<SplitSites> = {}) {
  const log: unknown[] = [];
  const request = inferenceRequest('completions', body);
  const subscription = split.run(request, { prefill, decode, ...extra }).subscribe({
    next: (part) => log.push(part.kind === 'bytes' ? Buffer.from(part.bytes).toString() : part.body),
    error: (error: unknown) => log.push(error),
    complete: () => log.push('complete'),
  });
  return { log, request, leave: () => subscription.unsubscribe() };
}

function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new Error(`There is no item ${index}.`);
  return item;
}

const text = (part: ResponsePart): string => Buffer.from(part.kind === 'bytes' ? part.bytes : []).toString();

function answer(started: StartedLeg, ...parts: ResponsePart[]): void {
  for (const part of parts) started.parts.next(part);
  started.parts.complete();
}

const fail = (started: StartedLeg, error: unknown): void => started.parts.error(error);
const unavailable = (started: StartedLeg, reason: 'connect' | 'busy' | 'failed', status?: number): void =>
  fail(started, new RemoteUnavailableError(started.at, reason, undefined, status));

describe('a serial split', () => {
  it('sends D what P has answered, and only then chooses it', () => {
    const { log } = run();
    expect(decode.picked).toBe(0);
    answer(at(prefill.legs, 0), jsonPart(ANSWER));
    expect(prefill.held).toBe(0); // P has done its part
    expect(at(decode.legs, 0).leg.body).toMatchObject({ handoff: { from: 'p-1', agreed: { prefill: 'p1:1' } } });
    answer(at(decode.legs, 0), TOKEN, LAST, bytesPart(SSE_DONE));
    expect(log).toEqual([text(TOKEN), text(LAST), 'data: [DONE]\n\n', 'complete']);
    expect(settled.mock.calls.map(([how]) => how)).toEqual(['taken']);
  });

  it('counts prompt tokens as P did', () => {
    const { log } = run({ prompt: 'x' });
    answer(at(prefill.legs, 0), jsonPart(ANSWER));
    const usage = {
      prompt_tokens: 7,
      completion_tokens: 4,
      total_tokens: 11,
      prompt_tokens_details: { cached_tokens: 7 },
    };
    answer(at(decode.legs, 0), jsonPart({ choices: [{ index: 0, text: 'ab', finish_reason: 'stop' }], usage }));
    expect(log[0]).toMatchObject({
      usage: { prompt_tokens: 7, completion_tokens: 4, total_tokens: 11, prompt_tokens_details: { cached_tokens: 3 } },
    });
  });

  it('keeps an id that names addresses from the client', () => {
    jest
      .spyOn(connector, 'decodeLeg')
      .mockImplementation((request) => ({ ...legOf(request, { prompt: 'x' }), id: 'at_10.0.0.9:22001' }));
    const { log, request } = run({ prompt: 'x' });
    answer(at(prefill.legs, 0), jsonPart(ANSWER));
    const choices = [{ index: 0, text: 'a', finish_reason: 'stop' }];
    answer(at(decode.legs, 0), jsonPart({ id: 'cmpl-at_10.0.0.9:22001', choices }));
    expect(log[0]).toMatchObject({ id: expect.stringMatching(new RegExp(`^cmpl-${request.key}-`)), choices });
  });

  it('runs D as a plain request when P hands nothing over, and counts it', () => {
    const noHandoff = jest.spyOn(observer, 'noHandoff');
    connector.handsOver = false;
    run();
    answer(at(prefill.legs, 0), jsonPart(ANSWER));
    expect(noHandoff).toHaveBeenCalledTimes(1);
    expect(at(decode.legs, 0).leg.body['handoff']).toBeUndefined();
    answer(at(decode.legs, 0), LAST, bytesPart(SSE_DONE));
    expect(settled).not.toHaveBeenCalled();
  });

  it('needs no D when P has finished the answer, where the contract allows it', () => {
    const answered = jest.spyOn(observer, 'answeredByPrefill');
    connector.contract = { ...connector.contract, prefillMayAnswer: true };
    const stopped = { ...ANSWER, choices: [{ index: 0, text: 'The', finish_reason: 'stop' }] };
    const { log } = run({ prompt: 'x' });
    answer(at(prefill.legs, 0), jsonPart(stopped));
    expect(log).toMatchObject([{ choices: [{ text: 'The', finish_reason: 'stop' }] }, 'complete']);
    expect(answered).toHaveBeenCalledTimes(1);
    // What was left out of the prefill leg is missing in its answer.
    run({ prompt: 'x', logprobs: 1 });
    answer(at(prefill.legs, 1), jsonPart(stopped));
    expect(decode.legs).toHaveLength(1);
    answer(at(decode.legs, 0), jsonPart(stopped));
  });

  it('frees the KV of a P that has answered all but holds it for a D', () => {
    connector.contract = { ...connector.contract, prefillMayAnswer: true };
    const { log } = run({ prompt: 'x', max_tokens: 1 });
    answer(at(prefill.legs, 0), jsonPart(ANSWER));
    expect(log).toMatchObject([{ choices: [{ text: 'The' }] }, 'complete']);
    expect(connector.released).toHaveLength(1);
    expect(settled.mock.calls.map(([how]) => how)).toEqual(['freed']);
  });

  it('tries another P when the first could not begin, and the same one when there is no other', () => {
    const { log } = run({ prompt: 'x' });
    unavailable(at(prefill.legs, 0), 'connect');
    expect(at(prefill.legs, 1).at).toBe('p2:1');
    expect(at(prefill.legs, 1).leg.id).not.toBe(at(prefill.legs, 0).leg.id);
    unavailable(at(prefill.legs, 1), 'failed', 502);
    jest.advanceTimersByTime(1_000);
    expect(at(prefill.legs, 2).at).toBe('p1:1');
    unavailable(at(prefill.legs, 2), 'busy', 503);
    jest.advanceTimersByTime(1_000);
    expect(prefill.legs).toHaveLength(3);
    expect(log).toEqual([expect.objectContaining({ reason: 'busy' })]);
    expect(retried.mock.calls).toEqual([
      ['prefill', 'connect'],
      ['prefill', 'failed'],
    ]);
  });

  it.each([
    ['a 500', (leg: StartedLeg) => unavailable(leg, 'failed', 500)],
    ['a refusal', (leg: StartedLeg) => fail(leg, new InferenceError('no', { status: 400 }))],
  ])('does not try %s of P again', (_what, failure) => {
    const { log } = run();
    failure(at(prefill.legs, 0));
    expect(prefill.legs).toHaveLength(1);
    expect(log).toHaveLength(1);
  });

  it('stays within the retry budget', () => {
    for (let i = 0; i < 40; i++) {
      const before = prefill.legs.length;
      run();
      unavailable(at(prefill.legs, before), 'connect');
      const again = prefill.legs[before + 1];
      if (again !== undefined) fail(again, new InferenceError('no', { status: 400 }));
    }
    // 20 % of 40 requests, and 10 a second.
    expect(retried.mock.calls.length).toBeGreaterThanOrEqual(10);
    expect(retried.mock.calls.length).toBeLessThanOrEqual(18);
  });

  it('tries another D only when the first was never reached: a handoff is for one transfer', () => {
    const { log } = run();
    answer(at(prefill.legs, 0), jsonPart(ANSWER));
    unavailable(at(decode.legs, 0), 'connect');
    expect(at(decode.legs, 1).at).toBe('d2:1');
    unavailable(at(decode.legs, 1), 'busy', 503);
    expect(decode.legs).toHaveLength(2);
    expect(log).toEqual([expect.objectContaining({ reason: 'busy' })]);
    expect(settled.mock.calls.map(([how]) => how)).toEqual(['freed']);
  });

  it('tries another D when the first is an instance that takes nothing more, since it is about to stop', () => {
    const { log } = run();
    answer(at(prefill.legs, 0), jsonPart(ANSWER));
    const { at: name } = at(decode.legs, 0);
    fail(at(decode.legs, 0), new RemoteUnavailableError(name, 'busy', undefined, 503, undefined, 'shutting_down'));
    expect(at(decode.legs, 1).at).toBe('d2:1');
    // This one had begun.
    fail(at(decode.legs, 1), new RemoteUnavailableError('d2:1', 'busy', undefined, 503, undefined, 'drain_timeout'));
    expect(decode.legs).toHaveLength(2);
    expect(log).toEqual([expect.objectContaining({ reason: 'busy' })]);
  });

  it('frees the KV when the client leaves in the gap', () => {
    decode = new Sites();
    jest.spyOn(decode, 'pick').mockReturnValue(NEVER);
    const { leave } = run();
    answer(at(prefill.legs, 0), jsonPart(ANSWER));
    expect(ledger.open).toBe(1);
    leave();
    expect(connector.released).toHaveLength(1);
    expect(settled.mock.calls.map(([how]) => how)).toEqual(['freed']);
  });

  it('closes D and then frees the KV when the transfer need not be finished', () => {
    const { leave } = run();
    answer(at(prefill.legs, 0), jsonPart(ANSWER));
    leave();
    expect(at(decode.legs, 0).isEnded).toBe(true);
    expect(connector.released).toHaveLength(1);
  });

  describe('whose transfer has to be finished', () => {
    beforeEach(() => {
      connector.contract = {
        ...connector.contract,
        cancellation: serialPlan({ prefilling: 'close', gap: 'release', transferring: 'finish' }),
      };
    });

    it('lets D come to its first token for a client that has left, then closes it', () => {
      const { leave, request, log } = run();
      answer(at(prefill.legs, 0), jsonPart(ANSWER));
      request.valve.close();
      leave();
      leave();
      expect(at(decode.legs, 0).isEnded).toBe(false);
      expect({ open: ledger.open, held: decode.held }).toEqual({ open: 1, held: 1 });
      expect(request.valve.isOpen).toBe(true); // nobody is left who would open it
      at(decode.legs, 0).parts.next(TOKEN);
      expect(at(decode.legs, 0).isEnded).toBe(true);
      expect(connector.released).toEqual([]);
      expect(settled.mock.calls.map(([how]) => how)).toEqual(['taken']);
      expect(log).toEqual([]);
    });

    it('frees the KV when D fails after all', () => {
      const { leave } = run();
      answer(at(prefill.legs, 0), jsonPart(ANSWER));
      leave();
      fail(at(decode.legs, 0), new InferenceError('no', { status: 500 }));
      expect(connector.released).toHaveLength(1);
      expect(settled.mock.calls.map(([how]) => how)).toEqual(['freed']);
    });

    it.each([
      ['streamed', true, 5_000],
      ['whole, so that nothing tells when D has the KV', false, 2_000],
    ])('closes a D that says nothing, but sends its handoff to nobody else: %s', (_what, stream, boundMs) => {
      const { leave } = run({ prompt: 'x', stream });
      answer(at(prefill.legs, 0), jsonPart(ANSWER));
      leave();
      jest.advanceTimersByTime(boundMs - 1);
      expect(at(decode.legs, 0).isEnded).toBe(false);
      jest.advanceTimersByTime(1);
      expect(at(decode.legs, 0).isEnded).toBe(true);
      expect(connector.released).toEqual([]);
      expect(settled.mock.calls.map(([how]) => how)).toEqual(['unknown']);
    });
  });

  describe('whose P may answer although its client has left', () => {
    beforeEach(() => {
      connector.contract = {
        ...connector.contract,
        cancellation: serialPlan({ prefilling: 'await_answer', gap: 'release', transferring: 'close' }),
      };
    });

    it('frees what an answer that came late leaves behind', () => {
      const { leave, log, request } = run();
      request.valve.close();
      leave();
      leave();
      expect(at(prefill.legs, 0).isEnded).toBe(false);
      expect({ open: ledger.open, held: prefill.held, isOpen: request.valve.isOpen }).toEqual({
        ...{ open: 1, held: 1, isOpen: true },
      });
      jest.advanceTimersByTime(249);
      answer(at(prefill.legs, 0), jsonPart(ANSWER));
      expect(connector.released).toHaveLength(1);
      expect(settled.mock.calls.map(([how]) => how)).toEqual(['freed']);
      expect({ decoded: decode.legs, log }).toEqual({ decoded: [], log: [] });
    });

    it('closes a P that does not answer in that time, and sends no other', () => {
      const { leave } = run();
      leave();
      jest.advanceTimersByTime(250);
      expect(at(prefill.legs, 0).isEnded).toBe(true);
      expect(settled).not.toHaveBeenCalled();
    });

    it('does not try again for nobody', () => {
      const { leave } = run();
      leave();
      unavailable(at(prefill.legs, 0), 'connect');
      expect(prefill.legs).toHaveLength(1);
    });

    it('survives an answer of another protocol that comes late', () => {
      const { leave } = run();
      jest.spyOn(connector, 'handoffOf').mockImplementation(() => {
        throw new ConnectorMismatchError('another protocol');
      });
      leave();
      answer(at(prefill.legs, 0), jsonPart(ANSWER));
      expect(ledger.open).toBe(0);
    });

    it('closes what this process computes at once: no answer of it can be lost', () => {
      const parts = new Subject<ResponsePart>();
      const local: SiteSource = { pick: () => NEVER.pipe(startWith({ endpoint: undefined, run: () => parts })) };
      const { leave } = run({ prompt: 'x', stream: true }, { prefill: local });
      expect(parts.observed).toBe(true);
      leave();
      expect(parts.observed).toBe(false);
    });

    it('leaves once when leaving is what a teardown causes', () => {
      const { leave } = run();
      at(prefill.legs, 0).parts.subscribe({ complete: leave });
      leave();
      answer(at(prefill.legs, 0), jsonPart(ANSWER));
      leave();
      expect(settled).toHaveBeenCalledTimes(1);
    });
  });

  it.each([
    ['before P has answered', 'prefilling', () => undefined],
    ['when D has its leg', 'decode_sent', () => answer(at(prefill.legs, 0), jsonPart(ANSWER))],
    [
      'while D answers',
      'decoding',
      () => {
        answer(at(prefill.legs, 0), jsonPart(ANSWER));
        at(decode.legs, 0).parts.next(TOKEN);
      },
    ],
  ])('tells in which phase its client left: %s', (_when, phase, come) => {
    const left = jest.spyOn(observer, 'clientLeft');
    const { leave } = run();
    come();
    leave();
    leave();
    expect(left.mock.calls).toEqual([[phase]]);
  });

  it('tells of no client that left when the answer ended', () => {
    const left = jest.spyOn(observer, 'clientLeft');
    const { leave } = run();
    answer(at(prefill.legs, 0), jsonPart(ANSWER));
    answer(at(decode.legs, 0), LAST, bytesPart(SSE_DONE));
    leave();
    expect(left).not.toHaveBeenCalled();
  });

  describe('whose handoff is older than half its lease when D can be sent', () => {
    let room: Subject<void>;

    beforeEach(() => {
      connector.contract = { ...connector.contract, leaseMs: 30_000 };
      room = new Subject();
      const pick = decode.pick.bind(decode);
      jest.spyOn(decode, 'pick').mockImplementationOnce((...args) => room.pipe(switchMap(() => pick(...args))));
    });

    const waitFor = (ms: number): void => {
      answer(at(prefill.legs, 0), jsonPart(ANSWER));
      jest.advanceTimersByTime(ms);
      room.next();
    };

    it('uses it up to the half', () => {
      run();
      waitFor(15_000);
      expect(at(decode.legs, 0).leg.body['handoff']).toBeDefined();
      answer(at(decode.legs, 0), LAST, bytesPart(SSE_DONE));
    });

    it('believes what P says of its lease', () => {
      jest.spyOn(connector, 'handoffOf').mockReturnValue({ params: {}, leaseMs: 1_000 });
      const { leave } = run();
      waitFor(501);
      expect(decode.legs).toHaveLength(0);
      leave();
    });

    it('prefills again, once, and frees the old one', () => {
      const stale = jest.spyOn(observer, 'stale');
      run();
      waitFor(15_001);
      expect(connector.released).toHaveLength(1);
      expect(prefill.legs).toHaveLength(2);
      expect(decode.legs).toHaveLength(0);
      answer(at(prefill.legs, 1), jsonPart(ANSWER));
      expect(at(decode.legs, 0).leg.body['handoff']).toBeDefined();
      answer(at(decode.legs, 0), LAST, bytesPart(SSE_DONE));
      expect(stale).toHaveBeenCalledTimes(1);
      expect(settled.mock.calls.map(([how]) => how)).toEqual(['freed', 'taken']);
    });

    it('has D read the prompt itself when that is what was chosen', () => {
      split = new Split({ active: connector } as unknown as KvConnectors, ledger, observer, new HandoffAddresses({}), {
        staleHandoff: 'plain',
      });
      run();
      waitFor(15_001);
      expect(prefill.legs).toHaveLength(1);
      expect(at(decode.legs, 0).leg.body['handoff']).toBeUndefined();
      answer(at(decode.legs, 0), LAST, bytesPart(SSE_DONE));
      expect(settled.mock.calls.map(([how]) => how)).toEqual(['freed']);
    });
  });

  it('gives P a part of the time that is left, and refuses what cannot be read in it', () => {
    const request = { ...inferenceRequest('completions', { prompt: 'x'.repeat(1_000), stream: true }) };
    const at10s = { ...request, deadlineMs: performance.now() + 10_000 };
    const errors: unknown[] = [];
    const start = (each: InferenceRequest) =>
      split.run(each, { prefill, decode }).subscribe({ error: (error: unknown) => errors.push(error) });
    for (let run = 0; run < 16; run += 1) {
      const running = start(at10s);
      const leg = at(prefill.legs, run);
      expect(Math.round((leg.leg.deadlineMs ?? 0) - performance.now())).toBe(
        Math.round((at10s.deadlineMs - performance.now()) * 0.8),
      );
      jest.advanceTimersByTime(100);
      answer(leg, jsonPart(ANSWER));
      running.unsubscribe();
    }
    start({ ...request, deadlineMs: performance.now() + 99 });
    expect(errors).toEqual([expect.objectContaining({ status: 504, code: 'deadline_exceeded' })]);
    expect(prefill.legs).toHaveLength(16);
    start({ ...request, deadlineMs: performance.now() + 101 }).unsubscribe();
    expect(prefill.legs).toHaveLength(17);
  });

  it('books unknown when a release fails or takes too long', () => {
    connector.freeing = () => NEVER;
    const { leave } = run();
    answer(at(prefill.legs, 0), jsonPart(ANSWER));
    leave();
    jest.advanceTimersByTime(1_000);
    expect(settled.mock.calls.map(([how]) => how)).toEqual(['unknown']);
  });

  it('may free the KV by a decode of its own', () => {
    connector.freeing = ({ decode: runOnD, request }) =>
      new Observable((subscriber) =>
        runOnD(legOf(request, { leg: 'cancel' })).subscribe(() => subscriber.next('freed')),
      );
    const { leave } = run();
    answer(at(prefill.legs, 0), jsonPart(ANSWER));
    leave();
    expect(at(decode.legs, 1).leg.body).toEqual({ leg: 'cancel' });
    at(decode.legs, 1).parts.next(TOKEN);
    expect(at(decode.legs, 1).isEnded).toBe(true);
    expect(settled.mock.calls.map(([how]) => how)).toEqual(['freed']);
  });

  it('tells no D of an address that P has made up', () => {
    jest.spyOn(connector, 'handoffOf').mockReturnValue({ params: { remote_host: '10.0.0.66', remote_port: 22 } });
    const { log } = run();
    answer(at(prefill.legs, 0), jsonPart(ANSWER));
    expect(log).toEqual([expect.objectContaining({ status: 502, code: 'address_not_allowed' })]);
    expect({ decoded: decode.legs, released: connector.released }).toEqual({ decoded: [], released: [] });
  });

  it('names D to P when the contract wants it, and then sends that D', () => {
    connector.contract = { ...connector.contract, decoder: 'first' };
    const { log } = run();
    expect(at(prefill.legs, 0).leg.body['agreed']).toEqual({ prefill: 'p1:1', decode: 'd1:1' });
    answer(at(prefill.legs, 0), jsonPart(ANSWER));
    unavailable(at(decode.legs, 0), 'connect');
    expect(decode.legs).toHaveLength(1);
    expect(log).toHaveLength(1);
  });

  it('shows a mismatch of protocols, and never hides it behind a fallback', () => {
    connector.mismatch = new ConnectorMismatchError('D runs something else.');
    const { log } = run(undefined, { withoutDecode: () => of(TOKEN) });
    answer(at(prefill.legs, 0), jsonPart(ANSWER));
    expect(log).toEqual([connector.mismatch]);
    expect(decode.legs).toEqual([]);
    expect(connector.released).toHaveLength(1);
  });

  describe('with this instance to fall back on', () => {
    it('finishes what no D answered as a plain request, and frees the handoff first', () => {
      const legs: InferenceRequest[] = [];
      let openWhenRun: number | undefined;
      const { log, request } = run(undefined, {
        withoutDecode: (leg) => {
          legs.push(leg);
          return defer(() => {
            openWhenRun = ledger.open;
            return of(LAST);
          });
        },
      });
      answer(at(prefill.legs, 0), jsonPart(ANSWER));
      fail(at(decode.legs, 0), new InferenceError('no', { status: 400 }));
      expect(legs).toMatchObject([{ body: request.body, isLeg: true }]);
      expect(log).toEqual([text(LAST), 'complete']);
      expect(openWhenRun).toBe(0);
      expect(fellBack.mock.calls).toEqual([['refused']]);
    });

    it('takes its own handoff back where the connector knows how', () => {
      connector.rescueLeg = (request, handoff) => legOf(request, { leg: 'rescue', handoff: handoff?.params });
      const legs: InferenceRequest[] = [];
      run(undefined, { withoutDecode: (leg) => (legs.push(leg), of(LAST)) });
      answer(at(prefill.legs, 0), jsonPart(ANSWER));
      fail(at(decode.legs, 0), new InferenceError('no', { status: 502 }));
      expect(legs).toMatchObject([{ body: { leg: 'rescue', handoff: { from: 'p-1' } } }]);
      expect(settled.mock.calls.map(([how]) => how)).toEqual(['taken']);
    });

    it('answers without a prefill when none could be run, but passes a refusal on', () => {
      const withoutPrefill = jest.fn(() => of(LAST));
      const { log } = run(undefined, { withoutPrefill });
      unavailable(at(prefill.legs, 0), 'failed', 500);
      expect(log).toEqual([text(LAST), 'complete']);
      [404, 501].forEach((status, index) => {
        const refused = run(undefined, { withoutPrefill });
        fail(at(prefill.legs, index + 1), new InferenceError('no', { status }));
        expect(refused.log).toEqual([expect.objectContaining({ status })]);
      });
      expect(withoutPrefill).toHaveBeenCalledTimes(1);
    });

    it('finishes a request without a handoff too, also where a handoff could be taken back', () => {
      connector.rescueLeg = (request) => legOf(request, { leg: 'rescue' });
      connector.handsOver = false;
      const withoutDecode = jest.fn(() => of(LAST));
      const { log } = run(undefined, { withoutDecode });
      answer(at(prefill.legs, 0), jsonPart(ANSWER));
      fail(at(decode.legs, 0), new InferenceError('no', { status: 502 }));
      expect(log).toEqual([text(LAST), 'complete']);
      expect(withoutDecode).toHaveBeenCalledTimes(1);
    });

    it('changes nothing once the client has seen a token', () => {
      const withoutDecode = jest.fn(() => of(LAST));
      const { log } = run(undefined, { withoutDecode });
      answer(at(prefill.legs, 0), jsonPart(ANSWER));
      at(decode.legs, 0).parts.next(TOKEN);
      fail(at(decode.legs, 0), new InferenceError('no', { status: 502 }));
      expect(log).toEqual([text(TOKEN), expect.any(InferenceError)]);
      expect(withoutDecode).not.toHaveBeenCalled();
    });
  });
});

describe('a request that is not split', () => {
  it('runs whole on one site, and on another when the first could not begin', () => {
    const log: unknown[] = [];
    const request = inferenceRequest('completions', { prompt: 'x', n: 2 });
    split.whole(request, decode).subscribe({ next: (part) => log.push(part), complete: () => log.push('complete') });
    unavailable(at(decode.legs, 0), 'busy', 503);
    expect(at(decode.legs, 1)).toMatchObject({ at: 'd2:1', leg: { body: request.body, isLeg: true } });
    answer(at(decode.legs, 1), jsonPart({ choices: [], kv_transfer_params: { remote_host: '10.0.0.1' } }));
    expect(log).toEqual([jsonPart({ choices: [] }), 'complete']);
  });
});

describe('a concurrent split', () => {
  beforeEach(() => {
    connector.contract = {
      order: 'concurrent',
      decoder: 'first',
      prefillMayAnswer: false,
      cancellation: concurrentPlan({ gap: 'nothing' }),
    };
    connector.freeing = () => of('unknown');
  });

  it('sends both legs at once, with what they agreed on', () => {
    const { log } = run();
    const agreed = { prefill: 'p1:1', decode: 'd1:1' };
    expect(at(prefill.legs, 0).leg.body['agreed']).toEqual(agreed);
    expect(at(decode.legs, 0).leg.body['handoff']).toEqual({ from: 'agreed', agreed });
    answer(at(prefill.legs, 0), jsonPart(ANSWER));
    answer(at(decode.legs, 0), LAST, bytesPart(SSE_DONE));
    expect(log).toEqual([text(LAST), 'data: [DONE]\n\n', 'complete']);
    expect(settled.mock.calls.map(([how]) => how)).toEqual(['taken']);
  });

  it('holds D back until P has answered, and lets it feel the client afterwards', () => {
    const { log, request } = run();
    const decoding = at(decode.legs, 0);
    decoding.parts.next(TOKEN);
    expect(decoding.leg.valve.isOpen).toBe(false);
    expect(log).toEqual([]);
    answer(at(prefill.legs, 0), jsonPart(ANSWER));
    expect(log).toEqual([text(TOKEN)]);
    expect(decoding.leg.valve.isOpen).toBe(true);
    request.valve.close();
    expect(decoding.leg.valve.isOpen).toBe(false);
    request.valve.open();
    answer(decoding, LAST);
    expect(log).toEqual([text(TOKEN), text(LAST), 'complete']);
  });

  it('gives the whole of an answer that D had ready before P', () => {
    const { log } = run({ prompt: 'x' });
    answer(at(decode.legs, 0), jsonPart({ choices: [{ index: 0, text: 'ab', finish_reason: 'stop' }] }));
    expect(log).toEqual([]);
    answer(at(prefill.legs, 0), jsonPart(ANSWER));
    expect(log).toMatchObject([{ choices: [{ text: 'ab' }] }, 'complete']);
  });

  it.each(['prefill', 'decode'] as const)('ends the other leg when %s fails, and shows that error', (failing) => {
    const { log } = run();
    const legs = { prefill: at(prefill.legs, 0), decode: at(decode.legs, 0) };
    const error = new InferenceError(`${failing} failed`, { status: 502 });
    fail(legs[failing], error);
    expect(legs[failing === 'prefill' ? 'decode' : 'prefill'].isEnded).toBe(true);
    expect(log).toEqual([error]);
    // A P that has said no holds nothing; when D fails, nobody knows how far P was.
    expect(settled.mock.calls.map(([how]) => how)).toEqual([failing === 'prefill' ? 'freed' : 'unknown']);
  });

  it('does not send D when P fails at once', () => {
    jest.spyOn(connector, 'prefillLeg').mockImplementation(() => {
      throw new InferenceError('no', { status: 400 });
    });
    const { log } = run();
    expect(log).toEqual([expect.objectContaining({ status: 400 })]);
    expect(decode.legs).toEqual([]);
  });

  it('tries both legs anew on another site when one of them could not begin', () => {
    const { log } = run();
    unavailable(at(prefill.legs, 0), 'busy', 503);
    expect(at(prefill.legs, 1).at).toBe('p2:1');
    expect([at(decode.legs, 0).isEnded, at(decode.legs, 1).isEnded]).toEqual([true, false]);
    unavailable(at(decode.legs, 1), 'connect');
    expect(at(decode.legs, 2).at).toBe('d2:1');
    answer(at(prefill.legs, 2), jsonPart(ANSWER));
    answer(at(decode.legs, 2), LAST);
    expect(log).toEqual([text(LAST), 'complete']);
    expect(retried.mock.calls).toEqual([
      ['prefill', 'busy'],
      ['decode', 'connect'],
    ]);
  });

  it('does not try again when D could be reached: P may have computed by then', () => {
    const { log } = run();
    unavailable(at(decode.legs, 0), 'busy', 503);
    expect([prefill.legs.length, decode.legs.length]).toEqual([1, 1]);
    expect(log).toEqual([expect.objectContaining({ reason: 'busy' })]);
  });

  it('tells the client when a connector cannot make one answer of two', () => {
    connector.shareOf = () => {
      throw new Error('a mistake of a plugin');
    };
    const { log } = run();
    answer(at(prefill.legs, 0), jsonPart(ANSWER));
    expect(log).toEqual([new Error('a mistake of a plugin')]);
    expect(at(decode.legs, 0).isEnded).toBe(true);
  });

  it('lets the transfer end for a client that has left, then closes D', () => {
    const { leave } = run();
    leave();
    expect([at(prefill.legs, 0).isEnded, at(decode.legs, 0).isEnded]).toEqual([false, false]);
    expect([prefill.held, decode.held]).toEqual([1, 1]);
    answer(at(prefill.legs, 0), jsonPart(ANSWER));
    expect(at(decode.legs, 0).isEnded).toBe(false);
    at(decode.legs, 0).parts.next(TOKEN);
    expect(at(decode.legs, 0).isEnded).toBe(true);
    expect(settled.mock.calls.map(([how]) => how)).toEqual(['taken']);
  });

  it('does not wait for ever', () => {
    const { leave } = run();
    leave();
    jest.advanceTimersByTime(5_000);
    expect([at(prefill.legs, 0).isEnded, at(decode.legs, 0).isEnded]).toEqual([true, true]);
    expect(settled.mock.calls.map(([how]) => how)).toEqual(['unknown']);
  });

  it('falls back on this instance when a side failed, but passes a refusal on', () => {
    const withoutPrefill = jest.fn(() => of(LAST));
    const { log } = run(undefined, { withoutPrefill });
    unavailable(at(prefill.legs, 0), 'failed', 500);
    expect(log).toEqual([text(LAST), 'complete']);
    const refused = run(undefined, { withoutPrefill });
    fail(at(decode.legs, 1), new InferenceError('no', { status: 400 }));
    expect(refused.log).toEqual([expect.objectContaining({ status: 400 })]);
  });
});
