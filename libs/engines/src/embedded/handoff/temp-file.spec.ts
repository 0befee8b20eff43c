import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { TempFile } from './temp-file.js';

let directory: string;
let removed: string[];
let file: TempFile;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'temp-file-'));
  removed = [];
  file = new TempFile(path.join(directory, 'state'), () => removed.push('directory'));
  await writeFile(file.path, 'KV');
});
afterEach(() => rm(directory, { recursive: true }));

describe('TempFile', () => {
  it('is removed once, and tells all who want to know', async () => {
    file.onRemoved(() => removed.push('room'));
    file.release();
    await Promise.all([file.remove(), file.remove()]);
    expect(existsSync(file.path)).toBe(false);
    expect(removed).toEqual(['directory', 'room']);
  });

  it('is left alone by an owner that handed it over', async () => {
    expect(file.handOver()).toBe(file);
    file.release();
    await new Promise((resolve) => setImmediate(resolve));
    expect(existsSync(file.path)).toBe(true);
    expect(removed).toEqual([]);
    await file.remove();
    expect(existsSync(file.path)).toBe(false);
  });

  it('is removed only after the work on it, which may fail', async () => {
    const end: (() => void)[] = [];
    const writing = file.use(() => new Promise<void>((resolve) => end.push(resolve)));
    const failing = file.use(() => Promise.reject(new Error('read error')));
    const gone = file.remove();
    await expect(failing).rejects.toThrow('read error');
    expect(existsSync(file.path)).toBe(true);
    // What makes the file again before it ends leaves nothing behind, either.
    await writeFile(file.path, 'more');
    end.forEach((resolve) => resolve());
    await Promise.all([writing, gone]);
    expect(existsSync(file.path)).toBe(false);
  });

  it('may have been removed by somebody else', async () => {
    await rm(file.path);
    await expect(file.remove()).resolves.toBeUndefined();
    expect(removed).toEqual(['directory']);
  });
});
