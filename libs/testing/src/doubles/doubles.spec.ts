import { inferenceRequest, type InferenceRequest } from '@baton/inference';
import { RemoteUnavailableError } from '@baton/remotes';
import { describe, expect, it } from '@jest/globals';
import { firstValueFrom, lastValueFrom, toArray, type Observable } from 'rxjs';
import { TestHost } from '../host/test-host.js';
import { VirtualTime } from '../time/virtual-time.js';
import { endlessParts, FakeEngines } from './fake-engines.js';
import { fakeLocalExecution } from './fake-local-execution.js';
import { fakeRemotes } from './fake-remotes.js';
import { readParts } from './token-answers.js';

const chat = (stream: boolean): InferenceRequest => inferenceRequest('chat', { messages: [], stream });
const all = <T>(source: Observable<T>): Promise<T[]> => lastValueFrom(source.pipe(toArray()));

describe('the execution on this instance', () => {
  it('answers as an engine does, in each form', async () => {
    await VirtualTime.run(async (time) => {
      const local = fakeLocalExecution();
      for (const api of ['completions', 'chat', 'generate'] as const) {
        for (const stream of [true, false]) {
          const parts = all(local(inferenceRequest(api, { prompt: 'x', stream })));
          expect(readParts(await time.until(parts, 1_000))).toEqual({
            text: 'One two three four five',
            finish: 'stop',
            isEnded: true,
          });
        }
      }
      expect(local.legs.map(({ state }) => state)).toEqual(Array.from({ length: 6 }, () => 'complete'));
    });
  });

  it('can be slow, fail, stay silent and be left', async () => {
    await VirtualTime.run(async (time) => {
      const error = new Error('no room');
      const scripts = [
        { firstAfterMs: 5_000 },
        { parts: [], end: { error } },
        { parts: [], end: 'silent' },
        { parts: endlessParts(chat(true)), everyMs: 10 },
      ] as const;
      let next = 0;
      const local = fakeLocalExecution({ answer: () => scripts[next++] });
      const seen: unknown[] = [];
      const run = () =>
        local(chat(true)).subscribe({ next: () => seen.push('part'), error: (thrown) => seen.push(thrown) });
      run();
      await time.advance(4_999);
      expect(seen).toEqual([]);
      await time.advance(5_000);
      run();
      await time.advance(100);
      expect(seen.at(-1)).toBe(error);
      const silent = run();
      await time.advance(1_000_000);
      silent.unsubscribe();
      const endless = run();
      await time.advance(1_000);
      endless.unsubscribe();
      expect(local.legs.map(({ state }) => state)).toEqual(['complete', 'failed', 'left', 'left']);
      expect(local.legs[3]!.parts).toBe(100);
      expect(time.pending).toBe(0);
    });
  });

  it('fails a leg that begins before the last one has begun to answer, as the real one does', async () => {
    await VirtualTime.run(async (time) => {
      const local = fakeLocalExecution();
      const first = all(local(chat(false)));
      await expect(all(local(chat(false)))).rejects.toThrow('one after the other');
      await time.until(first, 100);
      await time.until(all(local(chat(false))), 100);
    });
  });
});

describe('the remotes', () => {
  it('write down picks and legs, and count what is open', async () => {
    await VirtualTime.run(async (time) => {
      const pool = fakeRemotes('decode');
      pool.pickAfterMs = 100;
      const names: string[] = [];
      const held = [0, 1, 2].map(() => pool.pick(chat(true)).subscribe(({ endpoint }) => names.push(endpoint!.name)));
      expect([pool.open, pool.picks.map(({ state }) => state)]).toEqual([3, ['waiting', 'waiting', 'waiting']]);
      await time.advance(100);
      expect(names).toEqual(['decode-1.test:8000', 'decode-2.test:8000', 'decode-1.test:8000']);
      for (const pick of held.slice(1)) pick.unsubscribe();
      expect([pool.open, pool.picks.map(({ state }) => state)]).toEqual([1, ['held', 'given_back', 'given_back']]);
    });
  });

  it('keep to the limits of a pool', async () => {
    const empty = fakeRemotes('prefill', { endpoints: [] });
    await expect(firstValueFrom(empty.pick(chat(true)))).rejects.toBeInstanceOf(RemoteUnavailableError);
    expect(empty.picks[0]!.state).toBe('failed');
    const full = fakeRemotes('prefill', { maxInFlight: 0, maxWaiting: 0 });
    await expect(firstValueFrom(full.pick(chat(true)))).rejects.toMatchObject({ reason: 'busy' });
  });
});

describe('the KV of the engines', () => {
  const ask = (params: object): InferenceRequest =>
    inferenceRequest('chat', { messages: [], stream: false, kv_transfer_params: params });

  it('is held from an answer on until a decode leg has begun to answer, or until it is freed', async () => {
    await VirtualTime.run(async (time) => {
      const engines = new FakeEngines();
      const prefill = async (): Promise<string> => {
        const before = engines.heldKv;
        await time.until(all(engines.run('prefill', 'p', ask({ do_remote_decode: true }))), 100);
        return engines.heldKv.find((id) => !before.includes(id))!;
      };
      const [taken, freed] = [await prefill(), await prefill()];
      engines
        .run('prefill', 'p', ask({ do_remote_decode: true }))
        .subscribe()
        .unsubscribe();
      expect(engines.heldKv).toEqual([taken, freed]);
      await time.until(
        all(engines.run('decode', 'd', ask({ do_remote_prefill: true, remote_request_id: taken }))),
        100,
      );
      expect([engines.free(freed), engines.free(freed), engines.heldKv, engines.handoffs]).toEqual([
        true,
        false,
        [],
        2,
      ]);
    });
  });
});

describe('a host', () => {
  it('says what is open, and what became of handoffs', async () => {
    await VirtualTime.run(async (time) => {
      const host = await TestHost.make();
      const parts = host.split.run(chat(true), { prefill: host.prefill, decode: host.decode });
      host.decode.pickAfterMs = 'never';
      const subscription = parts.subscribe();
      await time.advance(1_000);
      expect(host.open).toEqual(['1 pick(s) of the decode pool', '1 handoff(s) that the ledger owes']);
      expect(host.handoffs.state).toEqual({ owed: 1, settled: [], stranded: [] });
      subscription.unsubscribe();
      await time.advance(1_000);
      expect(host.open).toEqual([]);
      expect(host.handoffs.state).toEqual({ owed: 0, settled: ['freed'], stranded: [] });
      expect(host.observer.leftIn).toEqual(['gap']);
      const left = await time.until(all(host.prefill.engines.run('prefill', 'p', ask())), 100);
      expect([left.length, host.open]).toEqual([1, ['KV that nobody frees']]);
      await time.until(host.close(), 300_000);
    });
  });

  const ask = (): InferenceRequest =>
    inferenceRequest('chat', { messages: [], kv_transfer_params: { do_remote_decode: true } });
});
