import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findPlugins, type PluginCandidate } from './find-plugins.js';
import type { HostBridge } from './host-bridge.js';
import type { PluginImporter } from './import-plugin.js';
import { PluginLoader } from './plugin-loader.js';

let root: string;
let loader: PluginLoader;
const imports = jest.fn<() => Promise<unknown>>();

const write = (edit: object = {}): Promise<void> =>
  writeFile(
    join(root, 'plugins/a/package.json'),
    JSON.stringify({
      ...{ name: 'a', version: '1.0.0', exports: './index.js' },
      baton: { apiVersion: '^1.0.0', provides: ['manager:m'] },
      ...edit,
    }),
  );
const found = async (): Promise<PluginCandidate> => {
  const [candidate] = await findPlugins([join(root, 'plugins')]);
  if (candidate === undefined) throw new Error('There is no plugin.');
  return candidate;
};

beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'plugin-loader-spec-')));
  await mkdir(join(root, 'plugins/a'), { recursive: true });
  await writeFile(join(root, 'plugins/a/index.js'), '');
  await write();
  imports.mockReset();
  const options = { directories: [join(root, 'plugins')], stagingDirectory: join(root, 'staging'), maxLoads: 5 };
  const importer: PluginImporter = { import: imports };
  loader = new PluginLoader(options, { moduleFor: jest.fn() } as unknown as HostBridge, importer);
});
afterEach(async () => {
  await loader.close();
  await rm(root, { recursive: true, force: true });
});

describe('a package.json that changes between being found and being copied', () => {
  it('counts as it is in the copy, which is what runs', async () => {
    const candidate = await found();
    await write({ version: '2.0.0' });
    const { manifest, directory } = await loader.stage(candidate);
    expect(manifest.version).toBe('2.0.0');
    expect(JSON.parse(await readFile(join(directory, 'package.json'), 'utf8'))).toMatchObject({ version: '2.0.0' });
  });

  it.each([
    ['of another API', { baton: { apiVersion: '^99.0.0', provides: ['manager:m'] } }, 'plugin_api_version'],
    ['that names another entry', { exports: '../b/index.js' }, 'plugin_entry_outside'],
    ['of another plugin', { name: 'b' }, 'plugin_invalid_manifest'],
  ])('is refused when it is one %s, and nothing is left', async (_what, edit, code) => {
    const candidate = await found();
    await write(edit);
    await expect(loader.stage(candidate)).rejects.toMatchObject({ code, plugin: expect.any(String) });
    const [staging] = await readdir(join(root, 'staging'));
    expect(await readdir(join(root, 'staging', staging ?? ''))).toEqual([]);
  });
});

describe('a content that cannot be imported', () => {
  it('is tried three times, and leaves room for others', async () => {
    imports.mockRejectedValue(new Error('no'));
    const start = async (): Promise<unknown> => loader.start(await loader.stage(await found()), jest.fn());
    for (let time = 0; time < 10; time += 1) {
      await expect(start()).rejects.toMatchObject({ code: 'plugin_import_failed' });
    }
    expect([imports.mock.calls.length, loader.imports]).toEqual([3, 3]);
    await writeFile(join(root, 'plugins/a/index.js'), '// mended');
    await expect(start()).rejects.toMatchObject({ reason: expect.stringContaining('Error: no') });
    expect(loader.imports).toBe(4);
  });
});
