import { InferenceError, inferenceRequest, type InferenceRequest } from '@baton/inference';
import { RemoteUnavailableError } from '@baton/remotes';
import { answerParts, TestHost, VirtualTime, type TestHostOptions } from '@baton/testing';
import { describe, expect, it } from '@jest/globals';
import { validate } from 'class-validator';
import { lastValueFrom, toArray } from 'rxjs';
import { ConditionalDecodeManager } from './conditional-decode.manager.js';
import type { ConditionalDecodeOptions } from './conditional-decode.options.js';
import { chat, notAvailable, optionsOf, refuseConditional } from './decode-instances.spec-support.js';

interface Bench {
  readonly host: TestHost;
  readonly manager: ConditionalDecodeManager;
  readonly time: VirtualTime;
  /** Runs a request to its end. @returns how many parts came; the error, when it failed. */
  answer(request?: InferenceRequest): Promise<unknown>;
  /** Where legs ran, and whether they had the condition. */
  legs(): readonly string[];
}

interface Options extends TestHostOptions {
  readonly plugin?: Partial<ConditionalDecodeOptions>;
}

/** Everything is given back at the end. */
function bench({ plugin = {}, ...options }: Options, check: (bench: Bench) => Promise<void>): Promise<void> {
  return VirtualTime.run(async (time) => {
    const host = await TestHost.make({ pluginOptions: optionsOf(plugin), ...options });
    const manager = await host.create(ConditionalDecodeManager);
    const answer = (request = chat()): Promise<unknown> => {
      const parts = manager.dispatch(request, host.local);
      if (parts === undefined) throw new Error('It declined.');
      const told = lastValueFrom(parts.pipe(toArray())).then(
        ({ length }) => length,
        (error: unknown) => error,
      );
      return time.until(told, 60_000);
    };
    const legs = (): string[] =>
      host.engines.log.legs.map(({ side, kind, leg, state }) =>
        [side, kind, leg.headers['prefer'] ?? '-', state].join(' '),
      );
    await check({ host, manager, time, answer, legs });
    expect(host.open).toEqual([]);
    await time.until(host.close(), 60_000);
  });
}

const SPLIT = ['prefill prefill - complete', 'decode decode - complete'];
const ASKED = 'decode decode if-available';

describe('a request that is answered at once', () => {
  it.each([true, false])('is one leg, with the condition (stream: %s)', (stream) =>
    bench({}, async ({ host, answer, legs }) => {
      const request = chat({ stream });
      expect(await answer(request)).toBe([...answerParts(request, Array<string>(5).fill(' '))].length);
      expect(legs()).toEqual([`${ASKED} complete`]);
      expect(host.engines.handoffs).toBe(0);
      // Neither the client's request nor its other headers are changed.
      expect(request.headers).toEqual({});
    }),
  );

  it('keeps the headers that its legs have', () =>
    bench({}, async ({ host, answer }) => {
      await answer(inferenceRequest('chat', {}, { headers: { traceparent: 't' } }));
      expect(host.engines.log.legs[0]?.leg.headers).toEqual({ traceparent: 't', prefer: 'if-available' });
    }));
});

describe('a request whose prompt is not cached', () => {
  it.each([true, false])('is split, without the condition (stream: %s)', (stream) =>
    bench({}, async ({ host, answer, legs }) => {
      refuseConditional(host);
      expect(await answer(chat({ stream }))).toBe(stream ? 7 : 1);
      expect(legs()).toEqual([`${ASKED} failed`, ...SPLIT]);
      expect(host.observer.failures).toEqual([]);
    }),
  );

  it('is prefilled here where there is no pool for it', () =>
    bench({ prefill: [] }, async ({ host, answer, legs }) => {
      refuseConditional(host);
      expect(await answer()).toBe(1);
      expect(legs()).toEqual([`${ASKED} failed`, 'local prefill - complete', 'decode decode - complete']);
    }));

  it("is split also where failures are the client's", () =>
    bench({ plugin: { onFailure: 'fail' } }, async ({ host, answer, legs }) => {
      refuseConditional(host);
      expect(await answer()).toBe(1);
      expect(legs()).toEqual([`${ASKED} failed`, ...SPLIT]);
    }));

  it('shows the client why its split failed, a 412 of it too', () =>
    bench({}, async ({ host, answer }) => {
      refuseConditional(host);
      const error = new InferenceError('No.', { status: 412, code: 'of_prefill' });
      host.engines.answer = (_leg, { kind }) => (kind === 'prefill' ? { parts: [], end: { error } } : undefined);
      expect(await answer()).toBe(error);
    }));
});

describe('a first try that fails', () => {
  const connect = (at: string): Error => new RemoteUnavailableError(at, 'connect');

  it('is followed by the split', () =>
    bench({}, async ({ host, answer, legs }) => {
      refuseConditional(host, connect);
      expect(await answer()).toBe(1);
      expect(legs().slice(-2)).toEqual(SPLIT);
    }));

  it("is the client's where that is wanted", () =>
    bench({ plugin: { onFailure: 'fail' } }, async ({ host, answer, legs }) => {
      refuseConditional(host, connect);
      expect(await answer()).toMatchObject({ code: 'remote_connect' });
      expect(new Set(legs())).toEqual(new Set([`${ASKED} failed`]));
    }));

  it("is the client's when there are no retries left", () =>
    bench({ coordination: { retryBudget: { percent: 0, perSecond: 0 } } }, async ({ host, answer, legs }) => {
      refuseConditional(host, connect);
      expect(await answer()).toMatchObject({ code: 'remote_connect' });
      expect(legs()).toEqual([`${ASKED} failed`]);
      // A prompt that is not cached is no failure.
      refuseConditional(host);
      expect(await answer()).toBe(1);
    }));

  it.each([
    ['a refusal', () => new InferenceError('No.', { status: 400, code: 'no' }), 'no'],
    [
      'a failure of the engine',
      (at: string) => new RemoteUnavailableError(at, 'failed', undefined, 500),
      'remote_failed',
    ],
    ['an answer that is late', (at: string) => new RemoteUnavailableError(at, 'timeout'), 'remote_timeout'],
  ])(
    "is the client's to see when it is %s: work may have been done, or would be refused again",
    (_what, errorOf, code) =>
      bench({}, async ({ host, answer, legs }) => {
        refuseConditional(host, errorOf);
        expect(await answer()).toMatchObject({ code });
        expect(legs()).toEqual([`${ASKED} failed`]);
      }),
  );

  it.each([notAvailable(), new RemoteUnavailableError('decode-1.test:8000', 'reset')])(
    'is final after its first part: %s',
    (error) =>
      bench({}, async ({ host, answer, legs }) => {
        const request = chat({ stream: true });
        host.engines.answer = (leg) => ({ parts: [...answerParts(leg, ['One'])].slice(0, 1), end: { error } });
        expect(await answer(request)).toBe(error);
        expect(legs()).toEqual([`${ASKED} failed`]);
      }),
  );
});

describe('a client that leaves', () => {
  it.each([0, 3, 7, 12, 16, 20, 27, 30, 33])('after %s ms leaves nothing open', (afterMs) =>
    bench({}, async ({ host, manager, time, legs }) => {
      refuseConditional(host);
      const leaving = manager.dispatch(chat({ stream: true }), host.local)?.subscribe();
      await time.advance(afterMs);
      leaving?.unsubscribe();
      const begun = legs().length;
      await time.advance(120_000);
      expect(host.open).toEqual([]);
      // Nothing is begun for it, but for what frees the KV of a handoff.
      expect(
        legs()
          .slice(begun)
          .filter((leg) => !leg.startsWith('decode')),
      ).toEqual([]);
    }),
  );
});

describe('what it declines', () => {
  it.each([
    ['a leg', {}, inferenceRequest('chat', {}, { isLeg: true })],
    ['several choices', {}, chat({ n: 2 })],
    ['a request for no token', {}, inferenceRequest('completions', { prompt: 'a', max_tokens: 0 })],
    ['anything without decode instances', { decode: [] }, chat()],
    ['anything that nobody could prefill', { prefill: [], isLocalAvailable: false }, chat()],
  ])('is %s', (_what, options, request) =>
    bench(options, async ({ host, manager }) => {
      expect(manager.dispatch(request, host.local)).toBeUndefined();
    }),
  );
});

describe('ConditionalDecodeOptions', () => {
  it('has defaults, and says what is wrong', async () => {
    expect({ ...optionsOf() }).toEqual({ onFailure: 'split' });
    expect(await validate(optionsOf())).toEqual([]);
    const [fault] = await validate(Object.assign(optionsOf(), { onFailure: 'retry' }));
    expect(fault?.constraints).toEqual({ isIn: 'onFailure must be one of split, fail' });
  });
});
