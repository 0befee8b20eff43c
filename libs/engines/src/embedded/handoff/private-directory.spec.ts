import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { PrivateDirectory } from './private-directory.js';
import type { TempFile } from './temp-file.js';

let parent: string;
let root: string;
beforeEach(async () => {
  parent = await mkdtemp(path.join(tmpdir(), 'private-'));
  root = path.join(parent, `baton-kv-${userInfo().uid}`);
});
afterEach(() => rm(parent, { recursive: true }));

describe('PrivateDirectory', () => {
  it('can be read by this user only', async () => {
    const directory = await PrivateDirectory.create(parent);
    expect((await stat(directory.path)).mode & 0o777).toBe(0o700);
    expect((await stat(root)).mode & 0o777).toBe(0o700);
  });

  it('removes what dead processes and an earlier life of this one left, and nothing else', async () => {
    const dead = spawnSync(process.execPath, ['-e', '']).pid;
    for (const name of [`${dead}-ab`, `${process.pid}-ab`, `${process.ppid}-ab`]) {
      await mkdir(path.join(root, name), { recursive: true, mode: 0o700 });
    }
    await chmod(root, 0o700);
    const first = await PrivateDirectory.create(parent);
    const second = await PrivateDirectory.create(parent);
    expect((await readdir(root)).sort()).toEqual(
      [`${process.ppid}-ab`, path.basename(first.path), path.basename(second.path)].sort(),
    );
    await first.remove();
    expect(existsSync(first.path)).toBe(false);
  });

  it('refuses a place that others can read', async () => {
    await mkdir(root, { mode: 0o755 });
    await chmod(root, 0o755);
    await expect(PrivateDirectory.create(parent)).rejects.toThrow(root);
  });

  it('removes a file when it is let go, after the work on it has ended', async () => {
    const directory = await PrivateDirectory.create(parent);
    const files: TempFile[] = [];
    const held = directory.file().subscribe((file) => files.push(file));
    const [file] = files;
    void file?.use(async () => {
      await sleep(30);
      await writeFile(file.path, 'late');
    });
    expect(directory.fileCount).toBe(1);
    held.unsubscribe();
    await file?.remove();
    expect(directory.fileCount).toBe(0);
    expect(await readdir(directory.path)).toEqual([]);
  });
});
