import { ManagerRegistry, RequestManagerMetadata, serialPlan, type KvConnector } from '@baton/coordination';
import { inferenceRequest, type InferenceRequest, type JsonObject } from '@baton/inference';
import { RemoteUnavailableError } from '@baton/remotes';
import {
  assertConforms,
  CONCURRENT_CONTRACT,
  conformManager,
  FakeConnector,
  SERIAL_CONTRACT,
  TestHost,
  VirtualTime,
  type RecordedLeg,
} from '@baton/testing';
import { describe, expect, it } from '@jest/globals';
import { lastValueFrom, Subscription } from 'rxjs';
import { HedgedPrefillManager } from './hedged-prefill.manager.js';
import { HedgedPrefillOptions } from './hedged-prefill.options.js';
import HedgedPrefillModule, { pluginOptions } from './index.js';

/** A report takes some seconds on a busy machine. */
const TIMEOUT_MS = 120_000;
/** More than the ledger gives a prefill that was left. */
const LEFT_MS = 1_000;

/** As with nixl: P's answer is the only name of its KV, so one that is left may answer yet. */
const PULLED: KvConnector['contract'] = {
  ...SERIAL_CONTRACT,
  cancellation: serialPlan({ prefilling: 'await_answer', gap: 'release', transferring: 'close' }),
};

const optionsOf = (said: Partial<HedgedPrefillOptions>): HedgedPrefillOptions =>
  Object.assign(new HedgedPrefillOptions(), said);

const chat = (more: JsonObject = {}, isLeg = false): InferenceRequest => {
  const messages = [{ role: 'user', content: 'Tell me about a fox.' }];
  return inferenceRequest('chat', { model: 'any', messages, max_tokens: 8, ...more }, { isLeg });
};

class Bench {
  constructor(
    readonly time: VirtualTime,
    readonly host: TestHost,
    readonly manager: HedgedPrefillManager,
  ) {}

  get prefills(): readonly RecordedLeg[] {
    return this.host.engines.log.on('prefill');
  }

  /** Has the prefill of each number, counted from 0, answered after so many ms. */
  prefillsAfter(...times: readonly number[]): void {
    const first = this.prefills.length;
    this.host.engines.answer = (_leg, { kind }) => {
      // The one that asks is written down already.
      const firstAfterMs = times[this.prefills.length - 1 - first];
      return kind === 'prefill' && firstAfterMs !== undefined ? { firstAfterMs } : undefined;
    };
  }

  async answer(): Promise<unknown> {
    const answer = this.manager.dispatch(chat());
    if (answer === undefined) throw new Error('It declined.');
    return this.time.until(lastValueFrom(answer), 10_000);
  }

  /** @returns how many prefill legs a request had whose first prefill takes so long. */
  async legsAt(firstAfterMs: number): Promise<number> {
    const before = this.prefills.length;
    this.prefillsAfter(firstAfterMs);
    await this.answer();
    await this.time.advance(LEFT_MS);
    return this.prefills.length - before;
  }
}

/** Runs `check` in an application whose instances are doubles; nothing may be open at its end. */
const inHost = (said: Partial<HedgedPrefillOptions>, check: (bench: Bench) => Promise<void>): Promise<void> =>
  VirtualTime.run(async (time) => {
    const host = await TestHost.make({ pluginOptions: optionsOf(said) });
    host.useConnector('pulled', new FakeConnector(PULLED, (id) => host.engines.free(id)));
    try {
      await check(new Bench(time, host, await host.create(HedgedPrefillManager)));
      await time.advance(LEFT_MS);
      expect({ open: host.open, heldKv: host.engines.heldKv }).toEqual({ open: [], heldKv: [] });
    } finally {
      await time.until(host.close(), 60_000);
    }
  });

describe('hedged-prefill', () => {
  it('is off until somebody switches it on', async () => {
    const host = await TestHost.make({ imports: [], providers: [HedgedPrefillManager], pluginOptions: optionsOf({}) });
    const entry = host.get<ManagerRegistry>(ManagerRegistry).table.all.find(({ name }) => name === 'hedged-prefill');
    expect(entry).toMatchObject({ enabled: false, priority: 2 });
    await host.close();
    expect(pluginOptions).toBe(HedgedPrefillOptions);
    expect(Reflect.getMetadata('providers', HedgedPrefillModule)).toEqual([HedgedPrefillManager]);
    expect(Reflect.getMetadata(RequestManagerMetadata.KEY, HedgedPrefillManager)).toMatchObject({
      name: 'hedged-prefill',
    });
  });

  it('tries a slow prefill on the second instance, and frees the KV of the first when it answers all the same', () =>
    inHost({ delayMs: 100 }, async (bench) => {
      bench.prefillsAfter(150, 20);
      await bench.answer();
      const [first, second] = bench.prefills;
      expect(second?.at).not.toBe(first?.at);
      expect((second?.startedAtMs ?? 0) - (first?.startedAtMs ?? 0)).toBe(100);
      await bench.time.advance(LEFT_MS);
      expect([first?.state, second?.state]).toEqual(['complete', 'complete']);
      expect({ made: bench.host.engines.handoffs, held: bench.host.engines.heldKv }).toEqual({ made: 2, held: [] });
    }));

  it('closes one that does not answer in a while', () =>
    inHost({ delayMs: 100 }, async (bench) => {
      bench.prefillsAfter(60_000, 20);
      await bench.answer();
      await bench.time.advance(LEFT_MS);
      expect(bench.prefills.map(({ state }) => state)).toEqual(['left', 'complete']);
      expect(bench.host.engines.handoffs).toBe(1);
    }));

  it('answers from the second when the first has failed by then, and with an error only when both have', () =>
    inHost({ delayMs: 100, maxPercent: 100 }, async (bench) => {
      const failed = (at: string): { error: unknown } => ({
        error: new RemoteUnavailableError(at, 'failed', undefined, 500),
      });
      const silent = { parts: [], firstAfterMs: 150 };
      bench.host.engines.answer = (_leg, { kind, at }) =>
        kind === 'prefill' && bench.prefills.length === 1 ? { ...silent, end: failed(at) } : { firstAfterMs: 90 };
      await bench.answer();
      const [first] = bench.prefills;
      bench.host.engines.answer = (_leg, { kind, at }) =>
        kind === 'prefill' ? { ...silent, end: failed(at) } : undefined;
      await expect(bench.answer()).rejects.toMatchObject({ endpoint: bench.prefills[2]?.at });
      expect(first?.state).toBe('failed');
      expect(bench.prefills).toHaveLength(4);
    }));

  it('leaves nothing of either for a client that leaves', () =>
    inHost({ delayMs: 100 }, async (bench) => {
      bench.prefillsAfter(60_000, 60_000);
      const client = bench.manager.dispatch(chat())?.subscribe() ?? Subscription.EMPTY;
      await bench.time.advanceUntil(() => bench.prefills.length === 2, 1_000);
      client.unsubscribe();
      await bench.time.advance(LEFT_MS);
      expect(bench.prefills.map(({ state }) => state)).toEqual(['left', 'left']);
    }));

  it('learns what is slow, and is patient for 50 ms at least', () =>
    inHost({ maxPercent: 100, minSamples: 3 }, async (bench) => {
      expect(await bench.legsAt(500)).toBe(1);
      expect(await bench.legsAt(10)).toBe(1);
      expect(await bench.legsAt(10)).toBe(1);
      expect(await bench.legsAt(490)).toBe(1);
      expect(await bench.legsAt(530)).toBe(2);
      // Most are fast by now.
      for (let i = 0; i < 60; i += 1) await bench.legsAt(10);
      expect(await bench.legsAt(45)).toBe(1);
      expect(await bench.legsAt(60)).toBe(2);
    }));

  it('learns from a prefill that was left as well', () =>
    inHost({ maxPercent: 100, minSamples: 2 }, async (bench) => {
      expect(await bench.legsAt(100)).toBe(1);
      expect(await bench.legsAt(100)).toBe(1);
      // The second is there after 10 ms more: so long the first has had at least.
      expect(await bench.legsAt(1_000)).toBe(2);
      expect(await bench.legsAt(108)).toBe(1);
    }));

  it('spends no more than its share on second attempts', () =>
    inHost({ delayMs: 20, maxPercent: 25 }, async (bench) => {
      let hedged = 0;
      for (let i = 0; i < 40; i += 1) hedged += (await bench.legsAt(100)) - 1;
      expect(hedged).toBe(11); // one to begin with
    }));

  it.each([
    ['a leg of somebody else', {}, () => chat({}, true)],
    ['several choices', {}, () => chat({ n: 2 })],
    ['everything where there is one prefill instance', { prefill: ['http://p:1'] }, () => chat()],
    ['everything without a decode instance', { decode: [] }, () => chat()],
  ])('declines %s', async (_what, pools, request) => {
    const host = await TestHost.make({ pluginOptions: optionsOf({}), ...pools });
    const manager = await host.create(HedgedPrefillManager);
    expect(manager.dispatch(request())).toBeUndefined();
    await host.close();
  });

  it.each([
    ['that hedges nothing', {}],
    ['that hedges everything', { delayMs: 5, maxPercent: 100 }],
  ])(
    'keeps what is expected of every manager, as one %s',
    async (_what, said) => {
      const report = await conformManager(HedgedPrefillManager, {
        host: { pluginOptions: optionsOf(said) },
        connectors: [SERIAL_CONTRACT, PULLED, CONCURRENT_CONTRACT].map((contract) => () => new FakeConnector(contract)),
      });
      expect(() => assertConforms(report)).not.toThrow();
    },
    TIMEOUT_MS,
  );
});
