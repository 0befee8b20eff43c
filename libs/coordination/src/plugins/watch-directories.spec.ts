import { mkdirSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { firstValueFrom, share, skip, timeout, type Subscription } from 'rxjs';
import { watchDirectories, type WatchTimes } from './watch-directories.js';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'watch-spec-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

it('tells of what is there, and of a change, once for several files', async () => {
  const first = firstValueFrom(watchDirectories([directory]).pipe(timeout(5_000)));
  await expect(first).resolves.toBeDefined();
  const second = firstValueFrom(watchDirectories([directory]).pipe(skip(1), timeout(5_000)));
  await new Promise((resolve) => setTimeout(resolve, 700));
  for (let file = 0; file < 5; file += 1) await writeFile(join(directory, `${file}`), '');
  await expect(second).resolves.toBeDefined();
});

describe('a directory that was removed and made again', () => {
  const HOUR_MS = 3_600_000;
  let watching: Subscription;

  /** Watches `watched`; what it returns waits for one more change. */
  const watch = (watched: string, times: WatchTimes): (() => Promise<unknown>) => {
    const changes = watchDirectories([watched], times).pipe(share());
    watching = changes.subscribe();
    return () => firstValueFrom(changes.pipe(timeout(2_000)));
  };
  afterEach(() => watching.unsubscribe());

  it('is watched again', async () => {
    const watched = join(directory, 'plugins');
    await mkdir(watched);
    const another = watch(watched, { pollMs: 20, retryMs: 20 });
    await another();
    // Not the same inode again.
    await rename(watched, `${watched}-old`);
    await mkdir(watched);
    // Of the directory that is found again.
    await another();
    await writeFile(join(watched, 'file'), '');
    await another();
  });

  it('is watched again with the same inode, which it gets on most file systems', async () => {
    const watched = join(directory, 'plugins');
    await mkdir(watched);
    const another = watch(watched, { pollMs: 20, retryMs: 20 });
    await another();
    // At once: nobody sees that it is not there.
    rmdirSync(watched);
    mkdirSync(watched);
    await another();
    await writeFile(join(watched, 'file'), '');
    await another();
  });

  it('is looked for as soon as it is renamed', async () => {
    const watched = join(directory, 'plugins');
    await mkdir(watched);
    const another = watch(watched, { pollMs: HOUR_MS, retryMs: 20 });
    await another();
    await rename(watched, `${watched}-old`);
    await another();
    await mkdir(watched);
    await another();
  });

  it('is watched again also when a file was in the place of the one that it is in', async () => {
    const parent = join(directory, 'parent');
    const watched = join(parent, 'plugins');
    await mkdir(watched, { recursive: true });
    const another = watch(watched, { pollMs: 20, retryMs: 20 });
    await another();
    renameSync(parent, `${parent}-old`);
    writeFileSync(parent, '');
    // The poll is due before this is.
    await new Promise((resolve) => setTimeout(resolve, 100));
    await rm(parent);
    await mkdir(watched, { recursive: true });
    await another();
  });
});

it('notices each time that a directory in it is removed and made again at once, and is quiet then', async () => {
  const inner = join(directory, 'inner');
  const make = (content: string): void => {
    rmSync(inner, { recursive: true, force: true });
    mkdirSync(inner);
    writeFileSync(join(inner, 'file'), content);
  };
  make('');
  const changes = watchDirectories([directory]).pipe(share());
  let seen = 0;
  const watching = changes.subscribe(() => (seen += 1));
  try {
    await firstValueFrom(changes.pipe(timeout(2_000)));
    for (let time = 1; time <= 3; time += 1) {
      const another = firstValueFrom(changes.pipe(timeout(2_000)));
      make(String(time));
      await another;
    }
    const before = seen;
    // Watching anew is no change: it would not end.
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect(seen).toBe(before);
  } finally {
    watching.unsubscribe();
  }
});

it('does not fail without the directory', async () => {
  const none = watchDirectories([join(directory, 'nothing')]).pipe(timeout(700));
  await expect(firstValueFrom(none)).rejects.toThrow('Timeout');
});
