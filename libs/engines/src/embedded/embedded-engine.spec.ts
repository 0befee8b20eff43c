import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';

interface Loading {
  readonly succeed: () => void;
  readonly fail: (error: Error) => void;
}

let loading: Loading | undefined;
const disposed = jest.fn(async () => undefined);

/** A runtime that loads as long as the test wants. */
jest.unstable_mockModule('./llama/llama-runtime.js', () => ({
  loadLlama: () =>
    new Promise((resolve, reject) => {
      const runtime = {
        context: { contextSize: 64, disposed: false, getSequence: () => ({}) },
        vocabulary: { size: 8, beginText: '', endText: '' },
        modelName: 'fake',
        created: 0,
        fingerprint: 'f'.repeat(64),
        dispose: disposed,
      };
      loading = { succeed: () => resolve(runtime), fail: reject };
    }),
}));
const { EmbeddedEngine } = await import('./embedded-engine.js');

let parent: string;
beforeEach(async () => {
  parent = await mkdtemp(path.join(tmpdir(), 'engine-'));
  loading = undefined;
  disposed.mockClear();
});
afterEach(() => rm(parent, { recursive: true }));

const engineIn = (directory: string): InstanceType<typeof EmbeddedEngine> =>
  new EmbeddedEngine({ sequences: 1, kv: { directory, access: { allowsKeyless: true } } });

/** The private directories of engines. */
async function directories(): Promise<string[]> {
  const [root] = await readdir(parent);
  return root === undefined ? [] : readdir(path.join(parent, root));
}

async function untilLoading(): Promise<Loading> {
  while (loading === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
  return loading;
}

describe('EmbeddedEngine', () => {
  it('cleans up after a start that was under way when it was stopped', async () => {
    const engine = engineIn(parent);
    const started = engine.start();
    const { succeed } = await untilLoading();
    expect(await directories()).toHaveLength(1);
    let isStopped = false;
    const stopped = engine.stop().then(() => (isStopped = true));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(isStopped).toBe(false);
    succeed();
    await Promise.all([started, stopped]);
    expect(await directories()).toEqual([]);
    expect(disposed).toHaveBeenCalledTimes(1);
    expect(engine.kvPort).toBeUndefined();
    expect(await engine.health()).toMatchObject({ ready: false });
  });

  it('stops without an error when the start under way fails', async () => {
    const engine = engineIn(parent);
    const started = engine.start();
    const failed = expect(started).rejects.toThrow('no such model');
    const { fail } = await untilLoading();
    const stopped = engine.stop();
    fail(new Error('no such model'));
    await Promise.all([failed, stopped]);
    expect(await directories()).toEqual([]);
  });

  it('can be stopped before it was started, and twice', async () => {
    const engine = engineIn(parent);
    await engine.stop();
    const started = engine.start();
    (await untilLoading()).succeed();
    await started;
    expect(engine.kvPort).toBeGreaterThan(0);
    await Promise.all([engine.stop(), engine.stop()]);
    expect(disposed).toHaveBeenCalledTimes(1);
    expect(await directories()).toEqual([]);
  });
});
