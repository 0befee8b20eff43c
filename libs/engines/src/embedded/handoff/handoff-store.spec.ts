import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { HandoffOutcome } from '../engine-counters.js';
import { HandoffStore, type Handoff } from './handoff-store.js';
import { PrivateDirectory } from './private-directory.js';
import type { TempFile } from './temp-file.js';

let parent: string;
let directory: PrivateDirectory;
let outcomes: HandoffOutcome[];
let store: HandoffStore;

beforeEach(async () => {
  // Deadlines only: files are written and removed for real.
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
  parent = await mkdtemp(path.join(tmpdir(), 'handoffs-'));
  directory = await PrivateDirectory.create(parent);
  outcomes = [];
  store = new HandoffStore({ ttlMs: 40, maxBytes: 10, readTimeoutMs: 120, onEnd: (outcome) => outcomes.push(outcome) });
});
afterEach(async () => {
  jest.useRealTimers();
  await store.clear();
  await directory.remove();
  await rm(parent, { recursive: true });
});

async function keep(bytes = 4): Promise<Handoff> {
  let file: TempFile | undefined;
  const held = directory.file().subscribe((made) => (file = made));
  if (file === undefined) throw new Error('no file');
  await writeFile(file.path, 'KV');
  const handoff = store.keep(file, { bytes, tokens: 3, sha256: 'x' });
  held.unsubscribe();
  return handoff;
}
const untilGone = async ({ file }: Handoff): Promise<void> => {
  await file.remove();
  expect(existsSync(file.path)).toBe(false);
};

describe('HandoffStore', () => {
  it('owns the file that it keeps, and removes it when it is freed', async () => {
    const handoff = await keep();
    expect(existsSync(handoff.file.path)).toBe(true);
    expect(store.free(handoff.id, 'released')).toBe(true);
    expect(store.free(handoff.id, 'released')).toBe(false);
    await untilGone(handoff);
    expect(outcomes).toEqual(['released']);
    expect(directory.fileCount).toBe(0);
  });

  it('frees what nobody takes in time', async () => {
    const handoff = await keep();
    jest.advanceTimersByTime(39);
    expect(store.size).toBe(1);
    jest.advanceTimersByTime(1);
    expect(store.size).toBe(0);
    expect(outcomes).toEqual(['expired']);
    await untilGone(handoff);
  });

  it('waits for a slow reader, but not for ever', async () => {
    const { id } = await keep();
    const errors: unknown[] = [];
    store.read(id).subscribe({ error: (error) => errors.push(error) });
    jest.advanceTimersByTime(40 + 119);
    expect(store.size).toBe(1);
    jest.advanceTimersByTime(1);
    expect(store.size).toBe(0);
    expect(errors).toMatchObject([{ code: 'handoff_not_found' }]);
  });

  it('gives no reader after another more time than one', async () => {
    const { id } = await keep();
    const errors: unknown[] = [];
    const read = (): void => void store.read(id).subscribe({ error: (error) => errors.push(error) });
    for (let ms = 0; ms < 159; ms += 1) {
      if (ms % 30 === 0) read();
      jest.advanceTimersByTime(1);
    }
    expect(store.size).toBe(1);
    jest.advanceTimersByTime(1);
    expect(store.size).toBe(0);
    expect(errors).toHaveLength(6);
    expect(outcomes).toEqual(['expired']);
  });

  it('keeps the deadline when a reader breaks off', async () => {
    const { id } = await keep();
    store.read(id).subscribe().unsubscribe();
    jest.advanceTimersByTime(39);
    expect(store.size).toBe(1);
    jest.advanceTimersByTime(1);
    expect(outcomes).toEqual(['expired']);
  });

  it('frees a handoff past its deadline as soon as its last reader breaks off', async () => {
    const { id } = await keep();
    const readers = [store.read(id).subscribe(), store.read(id).subscribe()];
    jest.advanceTimersByTime(60);
    readers[0]?.unsubscribe();
    jest.advanceTimersByTime(1);
    expect(store.size).toBe(1);
    readers[1]?.unsubscribe();
    jest.advanceTimersByTime(1);
    expect(outcomes).toEqual(['expired']);
  });

  it('ends its readers when a handoff is released', async () => {
    const { id } = await keep();
    const errors: unknown[] = [];
    store.read(id).subscribe({ error: (error) => errors.push(error) });
    store.free(id, 'released');
    expect(errors).toHaveLength(1);
  });

  it('gives the file away when a handoff is taken', async () => {
    const { id } = await keep();
    const taken = store.take(id);
    expect(taken && existsSync(taken.file.path)).toBe(true);
    expect(outcomes).toEqual(['taken']);
    await taken?.file.remove();
  });

  it('refuses more bytes than it may keep, and takes them when there is room again', async () => {
    const { id } = await keep(8);
    await expect(keep(4)).rejects.toMatchObject({ status: 503, code: 'kv_store_full' });
    store.free(id, 'taken');
    await expect(keep(4)).resolves.toMatchObject({ bytes: 4 });
  });

  it('counts what is reserved as if it were kept', async () => {
    const giveBack = store.reserve(8);
    await expect(keep(4)).rejects.toMatchObject({ status: 503, code: 'kv_store_full' });
    expect(() => store.reserve(3)).toThrow(expect.objectContaining({ code: 'kv_store_full' }));
    giveBack();
    await expect(keep(4)).resolves.toMatchObject({ bytes: 4 });
  });
});
