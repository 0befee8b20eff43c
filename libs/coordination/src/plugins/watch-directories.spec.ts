import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { firstValueFrom, skip, timeout } from 'rxjs';
import { watchDirectories } from './watch-directories.js';

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

it('goes on with a directory that was removed and made again', async () => {
  const seen = watchDirectories([directory], { pollMs: 20, retryMs: 20 });
  let changes = 0;
  const subscription = seen.subscribe(() => (changes += 1));
  const another = async (): Promise<void> => {
    const before = changes;
    while (changes === before) await new Promise((resolve) => setTimeout(resolve, 20));
  };
  try {
    await another();
    // Not the same inode again.
    await rename(directory, `${directory}-old`);
    await mkdir(directory);
    // Of the directory that is found again.
    await another();
    await writeFile(join(directory, 'file'), '');
    await another();
  } finally {
    subscription.unsubscribe();
    await rm(`${directory}-old`, { recursive: true, force: true });
  }
});

it('does not fail without the directory', async () => {
  const none = watchDirectories([join(directory, 'nothing')]).pipe(timeout(700));
  await expect(firstValueFrom(none)).rejects.toThrow('Timeout');
});
