import { inferenceRequest, invalidRequest, jsonPart, type InferenceRequest, type ResponsePart } from '@baton/inference';
import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import { firstValueFrom, Observable, of } from 'rxjs';
import type { LocalExecution } from '../managers/disaggregated-request-manager.js';
import { CoordinationObserver } from '../observer.js';
import { Asking } from './asking.js';
import { CountingLedger } from './counting-ledger.js';
import { DispatchCounters } from './dispatch-counters.js';
import { PolicyTable, type NewPolicyEntry, type PolicyEntry } from './policy-table.js';

const request = inferenceRequest('completions', { prompt: 'x' }, { id: 'request-0' });
const taken = of(jsonPart({}));
const run = jest.fn();
/** Writes down that it was run. */
const local: LocalExecution = () =>
  new Observable<ResponsePart>((subscriber) => {
    run();
    subscriber.complete();
  });

let counters: DispatchCounters;
let asked: [string, string, string | undefined][];
const traced: InferenceRequest = {
  ...request,
  trace: {
    asked: (manager, verdict, detail) => void asked.push([manager, verdict, detail]),
    considered: () => undefined,
    leg: () => ({ firstPart: () => undefined, ended: () => undefined }),
  },
};

type Answer = (asked: InferenceRequest, local: LocalExecution) => Observable<ResponsePart> | undefined;
const entry = (name: string, dispatch: Answer, policy: Partial<PolicyEntry> = {}): NewPolicyEntry => ({
  name,
  manager: { dispatch },
  ...policy,
});
const asking = (...entries: NewPolicyEntry[]): Asking =>
  new Asking(
    traced,
    local,
    PolicyTable.EMPTY.swap([], entries).entries,
    new CountingLedger(counters, new CoordinationObserver()),
  );
const refuse: Answer = () => {
  throw invalidRequest('Not here.', 'prompt');
};
const fail: Answer = () => {
  throw new Error('broken');
};

beforeEach(() => {
  counters = new DispatchCounters();
  asked = [];
  run.mockReset();
});

describe('asking', () => {
  it('counts and notes what each manager says, and why one was not asked', () => {
    const round = asking(
      entry('a', () => undefined),
      entry('b', () => taken, { disaggregateWhen: { minPromptTokens: 500 } }),
      entry('c', () => taken, { canaryPercent: 0.001 }),
      entry('d', fail),
      entry('e', () => taken),
      entry('f', () => taken),
    );
    expect(round.next()?.entry.name).toBe('e');
    expect(asked).toEqual([
      ['a', 'declined', undefined],
      ['b', 'condition', 'minPromptTokens does not hold'],
      ['c', 'canary', 'not of the 0.001 % that it is asked for'],
      ['d', 'failed', 'broken'],
      ['e', 'took', undefined],
    ]);
    expect(counters.of('a')).toMatchObject({ asked: 1, declined: 1 });
    expect(counters.of('b')).toMatchObject({ asked: 0, skipped: 1 });
    expect(counters.of('c')).toMatchObject({ asked: 0, skipped: 1 });
    expect(counters.of('d')).toMatchObject({ asked: 1, failed: 1 });
    expect(counters.of('e')).toMatchObject({ asked: 1, took: 1 });
    expect(counters.of('f')).toMatchObject({ asked: 0 });
  });

  it('goes on behind the one that took the request', () => {
    const round = asking(
      entry('a', () => taken),
      entry('b', () => undefined),
      entry('c', () => taken),
    );
    expect([round.next(), round.next(), round.next()].map((next) => next?.entry.name)).toEqual(['a', 'c', undefined]);
  });

  it('does not ask a disabled manager', () => {
    expect(asking(entry('a', () => taken, { enabled: false })).next()).toBeUndefined();
    expect(counters.of('a')).toMatchObject({ asked: 0, skipped: 0 });
  });

  it('passes on a refusal, and counts it apart', () => {
    expect(() => asking(entry('a', refuse)).next()).toThrow('Not here.');
    expect(counters.of('a')).toMatchObject({ asked: 1, refused: 1, failed: 0, declined: 0 });
    expect(asked).toEqual([['a', 'failed', 'refused the request: Not here.']]);
  });
});

describe('a shadow', () => {
  const shadow = { shadow: true };

  it('is asked, and what it would do is never subscribed to; the next one answers', () => {
    const subscribed = jest.fn();
    const answer = new Observable<ResponsePart>(() => void subscribed());
    const round = asking(
      entry('a', () => answer, shadow),
      entry('b', () => taken),
    );
    expect(round.next()).toMatchObject({ entry: { name: 'b' }, parts: taken });
    expect(subscribed).not.toHaveBeenCalled();
    expect(asked).toEqual([
      ['a', 'shadow_took', undefined],
      ['b', 'took', undefined],
    ]);
    expect(counters.of('a')).toMatchObject({ asked: 0, took: 0, shadowTook: 1 });
  });

  it('that declines counts so', () => {
    expect(asking(entry('a', () => undefined, shadow)).next()).toBeUndefined();
    expect(counters.of('a')).toMatchObject({ asked: 0, declined: 0, shadowDeclined: 1 });
  });

  it('cannot run anything here, even when it subscribes itself', () => {
    const error = jest.fn();
    asking(
      entry(
        'a',
        (request, local) => {
          local(request).subscribe({ error });
          return local(request);
        },
        shadow,
      ),
    ).next();
    expect(run).not.toHaveBeenCalled();
    expect(error).toHaveBeenCalledTimes(1);
  });

  it.each<[string, Answer, string]>([
    ['fails', fail, 'broken'],
    ['would refuse the request', refuse, 'would refuse the request: Not here.'],
    ['answers with garbage', () => Promise.reject(new Error('x')) as unknown as undefined, 'no Observable'],
  ])('that %s does no harm', (_what, dispatch, detail) => {
    expect(
      asking(
        entry('a', dispatch, shadow),
        entry('b', () => taken),
      ).next()?.entry.name,
    ).toBe('b');
    expect(asked[0]).toEqual(['a', 'shadow_failed', expect.stringContaining(detail)]);
    expect(counters.of('a')).toMatchObject({ asked: 0, failed: 0, refused: 0, shadowFailed: 1 });
  });

  it('cannot change the request', () => {
    const edits: Answer = ({ body }) => void Object.assign(body, { prompt: 'another' });
    asking(entry('a', edits, shadow)).next();
    expect(counters.of('a')).toMatchObject({ shadowFailed: 1 });
    expect(request.body).not.toHaveProperty('prompt', 'another');
  });

  it('tells of its faults when it is contained', () => {
    const onFault = jest.fn();
    asking(entry('a', fail, { ...shadow, containment: { firstPartTimeoutMs: 1, isOff: false, onFault } })).next();
    expect(onFault).toHaveBeenCalledTimes(1);
  });

  it('writes nothing into the record of the request', () => {
    let seen: InferenceRequest | undefined;
    const sees: Answer = (request) => void (seen = request);
    asking(entry('a', sees, shadow)).next();
    expect(seen).toEqual({ ...request, trace: undefined });
  });

  it('is asked only for its share, as others are', () => {
    const dispatch = jest.fn<Answer>();
    asking(entry('a', dispatch, { ...shadow, canaryPercent: 0 })).next();
    expect(dispatch).not.toHaveBeenCalled();
    expect(counters.of('a')).toMatchObject({ skipped: 1, shadowDeclined: 0 });
  });

  it('of the local manager does not answer', async () => {
    const round = asking(
      entry('a', (request, local) => local(request), shadow),
      entry('b', () => taken),
    );
    expect(await firstValueFrom(round.next()!.parts)).toEqual(jsonPart({}));
  });
});

describe('A manager that is contained', () => {
  const containment = { firstPartTimeoutMs: 1, isOff: false, onFault: jest.fn() };

  it('cannot change the request for the next one', () => {
    const edits: Answer = (given) => {
      Object.assign(given.body, { prompt: 'another' });
      return undefined;
    };
    const seen = jest.fn();
    asking(
      entry('a', edits, { containment }),
      entry('b', (given) => void seen(given.body)),
    ).next();
    expect(seen).toHaveBeenCalledWith(request.body);
    expect(request.body).not.toHaveProperty('prompt', 'another');
    expect(counters.of('a')).toMatchObject({ asked: 1, failed: 1 });
  });

  it('is not asked once it is switched off', () => {
    const dispatch = jest.fn<Answer>();
    asking(entry('a', dispatch, { containment: { ...containment, isOff: true } })).next();
    expect(dispatch).not.toHaveBeenCalled();
    expect(asked).toEqual([['a', 'switched_off', 'its plugin had too many faults']]);
    expect(counters.of('a')).toMatchObject({ asked: 0, skipped: 1 });
  });
});
