import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  chmod,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Staging, type StagedContent } from './staging.js';

const BOUNDS = { maxFiles: 20, maxBytes: 1_000 };

describe('Staging', () => {
  let root: string;
  let plugin: string;
  let parent: string;
  let staging: Staging;

  beforeEach(async () => {
    root = await realpath(await mkdtemp(join(tmpdir(), 'staging-spec-')));
    plugin = join(root, 'source');
    parent = join(root, 'staged');
    await mkdir(join(plugin, 'lib'), { recursive: true });
    await writeFile(join(plugin, 'package.json'), '{}');
    await writeFile(join(plugin, 'lib/index.js'), 'export default 1;');
    staging = new Staging(parent, BOUNDS);
  });
  afterEach(async () => {
    await staging.remove();
    await rm(root, { recursive: true, force: true });
  });

  const stage = (): Promise<StagedContent> => staging.stage('x', plugin);
  const refused = (code: string, says: string | RegExp): Promise<void> =>
    expect(stage()).rejects.toMatchObject({ code, status: 422, plugin: 'x', reason: expect.stringMatching(says) });

  it('makes a copy that is its own, for this user only', async () => {
    const { directory } = await stage();
    await writeFile(join(plugin, 'lib/index.js'), 'changed');
    expect(await readFile(join(directory, 'lib/index.js'), 'utf8')).toBe('export default 1;');
    const [made] = await readdir(parent);
    expect((await stat(join(parent, made ?? ''))).mode & 0o777).toBe(0o700);
    await staging.remove();
    expect(await readdir(parent)).toEqual([]);
  });

  it('links the packages of the host beside it', async () => {
    await writeFile(join(root, 'marker'), '');
    const { home, directory } = await stage();
    await staging.link(home, [{ name: '@host/lib', directory: root }]);
    expect(await realpath(join(home, 'node_modules/@host/lib'))).toBe(root);
    expect(directory.startsWith(home)).toBe(true);
  });

  it('has one hash for one content, wherever it is, and another for any other', async () => {
    const { contentHash } = await stage();
    expect(contentHash).toMatch(/^sha256-[A-Za-z0-9+/]{43}=$/);
    await cp(plugin, join(root, 'elsewhere'), { recursive: true });
    expect((await staging.stage('x', join(root, 'elsewhere'))).contentHash).toBe(contentHash);
    const hashes = new Set([contentHash]);
    await writeFile(join(plugin, 'lib/index.js'), 'export default 2;');
    hashes.add((await stage()).contentHash);
    await mkdir(join(plugin, 'empty'));
    hashes.add((await stage()).contentHash);
    await symlink('lib', join(plugin, 'link'));
    hashes.add((await stage()).contentHash);
    expect(hashes.size).toBe(4);
  });

  it('keeps links that stay inside, and leaves out the history of git', async () => {
    await symlink(join(plugin, 'lib/index.js'), join(plugin, 'lib/same.js'));
    await mkdir(join(plugin, '.git'));
    const { directory } = await stage();
    expect(await realpath(join(directory, 'lib/same.js'))).toBe(join(directory, 'lib/index.js'));
    expect((await readdir(directory)).sort()).toEqual(['lib', 'package.json']);
  });

  it.each([
    ['to a file outside', '../secret'],
    ['to a directory outside', '..'],
    ['to itself', 'link'],
    ['to nothing', 'nothing'],
    ['to all of it', '.'],
  ])('refuses a link %s', async (_what, target) => {
    await writeFile(join(root, 'secret'), '');
    await symlink(target, join(plugin, 'link'));
    await refused('plugin_link_outside', /the link link leads/);
  });

  it('refuses copies of packages of the host, wherever they are', async () => {
    await mkdir(join(plugin, 'node_modules/other/node_modules/@nestjs/common'), { recursive: true });
    await refused('plugin_own_host_copy', '@nestjs/common, in node_modules/other');
  });

  it('takes other packages that it brings', async () => {
    await mkdir(join(plugin, 'node_modules/rxjs-like'), { recursive: true });
    await expect(stage()).resolves.toBeDefined();
  });

  it('refuses too many files, and too many bytes before it copies one', async () => {
    for (let file = 0; file < BOUNDS.maxFiles; file += 1) await writeFile(join(plugin, `${file}`), '');
    await refused('plugin_too_large', 'more than 20 files');
    for (let file = 0; file < BOUNDS.maxFiles; file += 1) await rm(join(plugin, `${file}`));
    await writeFile(join(plugin, 'large'), '');
    await truncate(join(plugin, 'large'), 2 ** 40);
    await refused('plugin_too_large', 'more than 1000 bytes');
    await expect(readdir(parent)).rejects.toThrow('ENOENT');
  });

  it('refuses what everybody may write to', async () => {
    await chmod(join(plugin, 'lib/index.js'), 0o666);
    await refused('plugin_writable_by_all', /lib\/index\.js$/);
    await chmod(join(plugin, 'lib/index.js'), 0o644);
    await chmod(plugin, 0o777);
    await refused('plugin_writable_by_all', /source$/);
  });

  it('leaves nothing of what it could not copy', async () => {
    await stage();
    await symlink(root, join(plugin, 'outside'));
    await expect(stage()).rejects.toThrow();
    const [made] = await readdir(parent);
    expect(await readdir(join(parent, made ?? ''))).toEqual(['1']);
  });
});
