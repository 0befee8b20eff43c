import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runConformance } from './run-conformance.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'conformance-cli-spec-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const said = { out: '', err: '' };
  const code = await runConformance(args, { out: (text) => (said.out += text), err: (text) => (said.err += text) });
  return { code, ...said };
}

async function plugin(name: string, json: object | string): Promise<string> {
  const directory = join(root, name);
  await mkdir(directory);
  await writeFile(join(directory, 'package.json'), typeof json === 'string' ? json : JSON.stringify(json));
  return directory;
}

describe('baton-conformance', () => {
  it('says how it is used', async () => {
    const { code, out } = await run('--help');
    expect([code, out.split('\n')[0]]).toEqual([0, 'Usage: baton-conformance DIRECTORY [options]']);
  });

  it.each([
    [[], 'Name the directory of a plugin.'],
    [['a', 'b', 'c'], 'what is b c?'],
    [['--what', 'a'], "Unknown option '--what'"],
    [['a', '--options', '{'], '--options must be JSON.'],
    [['a', '--settings', 'nowhere.mjs'], 'there is no file nowhere.mjs'],
  ])('ends with 2 for the arguments %j', async (args, message) => {
    const { code, out, err } = await run(...args);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(message);
  });

  it('ends with 2 for what is no plugin, or cannot be loaded, and says why', async () => {
    expect(await run(join(root, 'nowhere'))).toMatchObject({
      code: 2,
      err: expect.stringMatching(/no .*package\.json/),
    });
    expect(await run(await plugin('broken', '{'))).toMatchObject({
      code: 2,
      err: expect.stringContaining('is no JSON'),
    });
    const future = { name: '@acme/future', version: '1.0.0', exports: './index.js', type: 'module' };
    const directory = await plugin('future', {
      ...future,
      baton: { apiVersion: '^9.0.0', provides: ['manager:acme'] },
    });
    const { code, err } = await run(directory);
    expect(code).toBe(2);
    expect(err).toMatch(/^Plugin @acme\/future: .*\[plugin_api_version\]/);
  });
});
