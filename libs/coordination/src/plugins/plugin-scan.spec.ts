import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { filter, firstValueFrom, interval, share, timeout } from 'rxjs';
import { ManagerRegistry } from '../registry/manager-registry.js';
import { PluginHost } from './plugin-host.js';
import { HostRig, managerNamed, moduleOf } from './plugin-rig.spec-support.js';
import { watchDirectories } from './watch-directories.js';

let rig: HostRig;

beforeEach(async () => {
  rig = await HostRig.create();
});
afterEach(() => rig.close());

const good = (name: string) => moduleOf([managerNamed(name)]);
const bad = () => Promise.reject(new Error('no'));
const waitUntil = (holds: () => boolean) => firstValueFrom(interval(10).pipe(filter(holds), timeout(2_000)));

describe('scan', () => {
  it('loads what is new, and replaces what has changed only when it may', async () => {
    const host = await rig.host();
    await rig.write('a', ['manager:a'], good('a'));
    expect(await host.scan()).toMatchObject({ loaded: ['a'], replaced: [], refused: [] });
    await rig.write('a', ['manager:a'], good('a'), '2');
    expect(await host.scan()).toMatchObject({ loaded: [], replaced: [], refused: [] });
    expect(host.list()).toMatchObject([{ version: '1.0.1' }]);
    expect(await host.scan({ replace: true })).toMatchObject({ loaded: [], replaced: ['a'], refused: [] });
    expect(await host.scan({ replace: true })).toMatchObject({
      replaced: [],
      plugins: [{ version: '1.0.2', loads: 2 }],
    });
  });

  it('leaves alone what was unloaded, until its content changes', async () => {
    await rig.write('a', ['manager:a'], good('a'));
    const host = await rig.host();
    await host.unload('a');
    expect((await host.scan()).loaded).toEqual([]);
    await rig.write('a', ['manager:a'], good('a'), '2');
    expect((await host.scan()).loaded).toEqual(['a']);
  });

  it('does not import again what could not be imported; a load does', async () => {
    await rig.write('a', ['manager:a'], bad);
    const host = await rig.host();
    expect(await host.scan()).toMatchObject({ refused: ['a'] });
    expect(rig.imported).toBe(1);
    await expect(host.load('a')).rejects.toMatchObject({ code: 'plugin_import_failed' });
    expect([rig.imported, host.list()[0]?.failures]).toEqual([2, 2]);
    expect(await rig.staged()).toEqual([]);
  });

  it('forgets what was refused when its directory is gone', async () => {
    const directory = await rig.write('a', ['rocket:a'], bad);
    const host = await rig.host();
    expect(host.list()).toMatchObject([
      { name: 'a', status: 'refused', code: 'plugin_invalid_manifest', provides: [] },
    ]);
    await writeFile(join(directory, 'package.json'), JSON.stringify({ name: 'b' }));
    expect((await host.scan()).plugins.map(({ name }) => name)).toEqual(['b']);
  });

  it('refuses a name that two directories have, and a directory that is a link', async () => {
    const directory = await rig.write('a', ['manager:a'], good('a'));
    await mkdir(join(rig.plugins, 'z'));
    await writeFile(join(rig.plugins, 'z/package.json'), JSON.stringify({ name: 'a', version: '1.0.0' }));
    await symlink(directory, join(rig.plugins, 'linked'));
    const host = await rig.host();
    expect(host.list()).toMatchObject([
      { name: 'a', code: 'plugin_duplicate_name', reason: expect.stringMatching(/a and .*z have that name/) },
      { name: 'linked', code: 'plugin_link_outside' },
    ]);
  });

  it('passes over directories that are not there, files, and what has no package.json', async () => {
    await mkdir(join(rig.plugins, 'empty'));
    await writeFile(join(rig.plugins, 'README.md'), '');
    const host = await rig.host({ directories: [join(rig.root, 'nothing'), rig.plugins] });
    expect(host.list()).toEqual([]);
  });
});

it('goes on without a directory that cannot be looked into, or does not start, and names it', async () => {
  await rig.write('a', ['manager:m'], moduleOf([managerNamed('m')]));
  const file = join(rig.root, 'file');
  await writeFile(file, '');
  const directories = [file, rig.plugins];
  const host = await rig.host({ directories });
  expect(host.list()).toMatchObject([
    { name: file, status: 'refused', code: 'plugin_unreadable', reason: expect.stringContaining('ENOTDIR') },
    { name: 'a', status: 'loaded' },
  ]);
  expect(await host.load('a')).toMatchObject({ status: 'loaded', loads: 2 });
  await expect(rig.host({ directories, onFault: 'refuse' })).rejects.toThrow(file);
});

it('scans once more while it watches for what has come during a scan', async () => {
  let arrive = (): void => undefined;
  const slow = () => new Promise((resolve) => (arrive = () => resolve(good('a')())));
  const host = await rig.host({ watch: true });
  const changes = watchDirectories([rig.plugins]).pipe(share());
  const watching = changes.subscribe();
  const another = () => firstValueFrom(changes.pipe(timeout(2_000)));
  try {
    await another();
    await rig.write('a', ['manager:a'], slow);
    await another();
    await waitUntil(() => rig.imported === 1);
    await rig.write('b', ['manager:b'], good('b'));
    // That of the host, which began before, has told of it by then.
    await another();
    expect(host.list()).toEqual([]);
    arrive();
    await waitUntil(() => host.list().length === 2);
    expect(host.list()).toMatchObject([
      { name: 'a', status: 'loaded' },
      { name: 'b', status: 'loaded' },
    ]);
  } finally {
    watching.unsubscribe();
  }
});

describe('at the start', () => {
  it('goes on without those that cannot be loaded; policies of their managers are no error', async () => {
    await rig.write('a', ['manager:a'], bad);
    await rig.write('b', ['manager:b'], good('b'));
    const module = await rig.application({}, { managers: [{ name: 'a', priority: 3 }] });
    expect(module.get(PluginHost).list()).toMatchObject([{ status: 'refused' }, { status: 'loaded' }]);
  });

  it('does not start without them when it may not, names all of them, and leaves nothing', async () => {
    await rig.write('a', ['manager:a'], bad);
    await rig.write('b', ['manager:b'], good('b'));
    await rig.write('c', ['manager:local'], good('local'));
    const boot = rig.application({ onFault: 'refuse' });
    await expect(boot).rejects.toThrow(
      /Plugin a: its import failed \(Error: no\)\. .*\n- Plugin c: there is a manager named "local"/,
    );
    expect(await rig.staged()).toEqual([]);
  });

  it.each([
    ['loadTimeoutMs', { loadTimeoutMs: 0 }],
    ['maxFailures', { maxFailures: -1 }],
    ['the plugin "a"', { lock: { a: 'sha1-x' } }],
  ])('refuses options that are not allowed: %s', async (name, options) => {
    await expect(rig.compile(options, {})).rejects.toThrow(name);
  });
});

describe('bounds', () => {
  it('imports no more contents than it may, and says so', async () => {
    await rig.write('a', ['manager:a'], good('a'));
    const host = await rig.host({ maxLoads: 1 });
    await rig.write('a', ['manager:a'], good('a'), '2');
    await expect(host.load('a')).rejects.toMatchObject({
      code: 'plugin_load_limit',
      fix: expect.stringMatching(/restart/),
    });
    expect([host.imports, host.list()[0]?.status]).toEqual([1, 'loaded']);
  });

  it('takes only the content that the lock names', async () => {
    await rig.write('a', ['manager:a'], good('a'));
    await rig.write('b', ['manager:b'], good('b'));
    const [{ contentHash } = { contentHash: '' }] = (await rig.host()).list();
    const host = await rig.host({ lock: { a: contentHash } });
    expect(host.list()).toMatchObject([
      { name: 'a', status: 'loaded' },
      { name: 'b', code: 'plugin_hash_mismatch' },
    ]);
    await rig.write('a', ['manager:a'], good('a'), '2');
    await expect(host.load('a')).rejects.toMatchObject({ code: 'plugin_hash_mismatch' });
  });

  it('does one thing after the other, and says when too many wait', async () => {
    await rig.write('a', ['manager:a'], good('a'));
    const host = await rig.host();
    const answers = await Promise.allSettled(Array.from({ length: 70 }, () => host.load('nothing')));
    const codes = answers.map((answer) =>
      answer.status === 'rejected' ? (answer.reason as { code: string }).code : '',
    );
    expect([codes.filter((code) => code === 'plugin_not_found').length, codes.at(-1)]).toEqual([64, 'plugin_busy']);
    expect((await host.load('a')).status).toBe('loaded');
  });

  it('does not take a name that is taken, by the application or by another plugin', async () => {
    await rig.write('a', ['manager:a'], good('a'));
    const module = await rig.application();
    await rig.write('b', ['manager:a'], good('a'));
    await expect(module.get(PluginHost).load('b')).rejects.toMatchObject({ code: 'plugin_duplicate_name' });
    expect(rig.imported).toBe(1);
    expect(module.get(ManagerRegistry).table.get('a')?.origin).toBe('a@1.0.1');
    await expect(module.get(PluginHost).unload('b')).rejects.toMatchObject({ status: 404 });
  });
});
