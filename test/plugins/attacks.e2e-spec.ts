import { execFile } from 'node:child_process';
import { chmod, readFile, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { nothingHeld } from '../support/coordinated-pair.js';
import { eventually } from '../support/eventually.js';
import type { InstanceProcess } from '../support/instance-process.js';
import { RawPost } from '../support/raw-client.js';
import { ask, FLOWS } from '../support/requests.js';
import { timed } from '../faults/server/figures.js';
import { AdminClient } from './support/admin-client.js';
import { loggedFaults } from './support/logged-faults.js';
import type { PluginFolder } from './support/plugin-folder.js';
import { PluginRig } from './support/rig.js';
import { writtenManager } from './support/written-manager.js';

const LOAD_TIMEOUT_MS = 1_000;
/** A pace at which a stream of 40 tokens takes a second. */
const SLOW = [{ kind: 'slow', at: 'token', ms: 25 }];
const SLOW_STREAM = { ...FLOWS[0]!.body('A fox named Ivy.', [], 40), stream: true };

const question = (url: string) => ask(url, FLOWS[0]!, FLOWS[0]!.body('A fox named Ivy.', [], 4));
const hot = (version: string) => writtenManager({ plugin: 'hot', version, priority: -50 });

describe('a host of plugins that is not treated kindly', () => {
  let rig: PluginRig;
  let folder: PluginFolder;
  let instance: InstanceProcess;
  let admin: AdminClient;
  let hooks: string;

  beforeAll(async () => {
    rig = await PluginRig.start();
    folder = await rig.folder();
    hooks = join((await rig.folder()).path, 'hooks.txt');
    ({ instance, admin } = await rig.instance({
      directories: [folder.path],
      plugins: { 'all-hooks': { file: hooks } },
      pluginHost: { loadTimeoutMs: LOAD_TIMEOUT_MS, maxFiles: 50, maxBytes: 1_000_000 },
    }));
  });
  afterAll(() => rig.stop());

  beforeEach(() => writeFile(hooks, ''));
  afterEach(async () => {
    await Promise.all([rig.prefill.misbehave([]), rig.decode.misbehave([])]);
    for (const { name, status } of await admin.plugins()) if (status === 'loaded') await admin.unload(name);
    // Whatever was tried: it serves, by its own manager, and holds nothing.
    const { status, headers } = await question(instance.url);
    expect([status, headers.get('x-baton-manager')]).toEqual([200, 'prefill-remote-decode-remote']);
    await nothingHeld([rig.prefill, rig.decode]);
    await eventually('nothing is in flight', async () => {
      const metric = await instance.metrics();
      return metric('baton_handoffs_open') === 0 && metric('baton_inflight_requests') === 0;
    });
  });

  const ran = async (hook: string): Promise<number> =>
    (await readFile(hooks, 'utf8')).split('\n').filter((line) => line === hook).length;

  /** Streams that are under way on whatever answers now. */
  const streams = async (count: number): Promise<readonly RawPost[]> => {
    await rig.decode.misbehave(SLOW);
    const posts = await Promise.all(
      Array.from({ length: count }, () => RawPost.send(instance.url, '/v1/completions', SLOW_STREAM)),
    );
    await Promise.all(posts.map((post) => post.eventsReach(2)));
    return posts;
  };

  describe('operations that meet', () => {
    it('takes a PUT while another load hangs: one after the other, and the list is answered meanwhile', async () => {
      await folder.drop('hangs-at-import');
      await folder.write('hot', hot('1.0.0'));
      const hanging = admin.load('hangs-at-import');
      const loading = admin.load('hot');
      expect(await timed(() => admin.plugins())).toBeLessThan(LOAD_TIMEOUT_MS / 2);
      expect((await question(instance.url)).status).toBe(200);
      expect((await hanging).error.code).toBe('plugin_timeout');
      expect((await loading).status).toBe(200);
      expect((await question(instance.url)).headers.get('x-baton-manager')).toBe('hot');
    });

    it('lets streams end on the manager that is unloaded, which is closed only then', async () => {
      await folder.write('hot', hot('1.0.0'));
      expect((await admin.load('hot')).status).toBe(200);
      const posts = await streams(10);
      const unloading = admin.unload('hot');
      await eventually('the next manager answers', async () => {
        return (await question(instance.url)).headers.get('x-baton-manager') !== 'hot';
      });
      expect(posts.some(({ received }) => received.includes('[DONE]'))).toBe(false);
      expect((await admin.plugin('hot'))?.status).toBe('draining');
      await Promise.all(posts.map((post) => post.eventsReach(40)));
      await eventually('all are whole', () => posts.every(({ received }) => received.includes('data: [DONE]')));
      expect(posts.every(({ received }) => received.includes(': hot@1.0.0') && !received.includes('"error"'))).toBe(
        true,
      );
      for (const post of posts) post.leave('FIN');
      expect((await unloading).status).toBe(200);
      await eventually('it is closed', async () =>
        ['unloaded', undefined].includes((await admin.plugin('hot'))?.status),
      );
    });

    it('replaces a manager while the clients of its streams leave', async () => {
      await folder.write('hot', hot('1.0.0'));
      expect((await admin.load('hot')).status).toBe(200);
      const posts = await streams(20);
      await folder.write('hot', hot('2.0.0'));
      const replacing = admin.load('hot');
      for (const [index, post] of posts.entries()) post.leave(index % 2 === 0 ? 'RST' : 'FIN');
      for (const post of posts) post.socket.destroy();
      expect((await replacing).status).toBe(200);
      const { events } = await question(instance.url);
      expect(events[0]?.['system_fingerprint']).toBe('hot@2.0.0');
    });

    it('does 20 PUTs and DELETEs at once in some order, or says that it is busy; what was made is closed', async () => {
      await folder.drop('all-hooks');
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, n) => (n % 4 === 3 ? admin.unload('all-hooks') : admin.load('all-hooks'))),
      );
      for (const { status, error } of answers) {
        expect([200, 404, 429, 503]).toContain(status);
        if (status !== 200) expect(error.message).toMatch(/\w+/);
      }
      expect(answers.some(({ status }) => status === 200)).toBe(true);
      expect((await admin.load('all-hooks')).status).toBe(200);
      await eventually('one is alive', async () => (await ran('constructor')) - (await ran('onModuleDestroy')) === 1);
      expect((await admin.unload('all-hooks')).status).toBe(200);
      await eventually('none is alive', async () => (await ran('constructor')) === (await ran('onModuleDestroy')));
    });
  });

  describe('names', () => {
    it.each([
      ...['..%2f..%2fetc', '%2e%2e', '..', '%2fetc%2fpasswd', 'hot%00', 'a%5cb', '__proto__', 'constructor', '%ff'],
      ...['x'.repeat(3_000), '%20', 'toString'],
    ])('has no plugin %.30s to load or unload', async (name) => {
      for (const method of ['PUT', 'DELETE'] as const) {
        const { status, error } = await admin.call(method, `plugins/${name}`);
        expect([400, 404, 405, 414]).toContain(status);
        expect(error.message).not.toMatch(/at .*\.js:\d/);
      }
    });

    it('loads and unloads one with a scope', async () => {
      await folder.drop('good-manager');
      expect(await admin.load('@acme/good-manager')).toMatchObject({ status: 200, body: { status: 'loaded' } });
      expect((await question(instance.url)).headers.get('x-baton-manager')).toBe('good-manager');
      expect((await admin.unload('@acme/good-manager')).status).toBe(200);
      await folder.remove('good-manager');
    });

    it('needs the admin key', async () => {
      for (const other of [new AdminClient(instance.url, null), new AdminClient(instance.url, 'wrong'.repeat(8))]) {
        for (const [method, path] of [
          ['POST', 'plugins'],
          ['GET', 'plugins'],
          ['PUT', 'plugins/hot'],
          ['DELETE', 'plugins/hot'],
        ] as const) {
          expect([401, 403]).toContain((await other.call(method, path)).status);
        }
      }
    });
  });

  /** Drops a plugin that is good but for what `spoil` does to its directory. @returns what a PUT of it is answered with. */
  const spoilt = async (spoil: (directory: string) => Promise<unknown>) => {
    const directory = await folder.write('hot', hot('1.0.0'));
    await spoil(directory);
    const answer = await admin.load('hot');
    if (answer.status !== 200) expect(answer.error.message).toMatch(/^Plugin hot: .+\. .+\.$/s);
    await chmod(directory, 0o755);
    await folder.remove('hot');
    return { status: answer.status, code: answer.error.code };
  };

  describe('directories', () => {
    it('refuses one that everybody may write to', async () => {
      expect(await spoilt((directory) => chmod(directory, 0o777))).toMatchObject({ status: 422 });
    });

    it('refuses too many bytes, before they are copied', async () => {
      const answer = await spoilt(async (directory) => {
        await writeFile(join(directory, 'weights.bin'), '');
        await truncate(join(directory, 'weights.bin'), 1024 ** 4);
      });
      expect(answer).toEqual({ status: 422, code: 'plugin_too_large' });
    });

    it('refuses too many files', async () => {
      const answer = await spoilt(async (directory) => {
        for (let file = 0; file < 60; file += 1) await writeFile(join(directory, `${file}.txt`), '');
      });
      expect(answer).toEqual({ status: 422, code: 'plugin_too_large' });
    });

    it('does not wait for what a pipe may say', async () => {
      const answer = await spoilt((directory) => promisify(execFile)('mkfifo', [join(directory, 'pipe')]));
      expect(answer).toMatchObject({ status: 422 });
    });

    it('refuses a link out of the folder, to a directory as well, and a circle of links', async () => {
      expect(await spoilt((directory) => symlink('/etc', join(directory, 'etc')))).toMatchObject({ status: 422 });
      expect(await spoilt((directory) => symlink('loop', join(directory, 'loop')))).toMatchObject({ status: 422 });
    });

    it('refuses a plugin whose whole directory is a link', async () => {
      const elsewhere = await rig.folder();
      const directory = await elsewhere.write(
        'linked',
        writtenManager({ plugin: 'linked', version: '1.0.0', priority: 5 }),
      );
      await symlink(directory, join(folder.path, 'linked'));
      const { status, error } = await admin.load('linked');
      await folder.remove('linked');
      expect([404, 422]).toContain(status);
      expect(error.message).toContain('linked');
    });
  });

  describe('manifests', () => {
    const manifest = (change: (value: Record<string, unknown>) => unknown) => (directory: string) =>
      editJson(join(directory, 'package.json'), change);

    it.each<[what: string, code: RegExp, spoil: (directory: string) => Promise<unknown>]>([
      ['an entry outside of it', /plugin_entry_outside/, manifest((all) => ({ ...all, exports: '../../etc/passwd' }))],
      ['an entry that is not there', /plugin_/, manifest((all) => ({ ...all, exports: './nothing.js' }))],
      [
        'a peer that the host has not',
        /plugin_missing_peer/,
        manifest((all) => ({ ...all, peerDependencies: { 'left-pad': '*' } })),
      ],
      ['a peer of another version', /plugin_/, manifest((all) => ({ ...all, peerDependencies: { rxjs: '^1.0.0' } }))],
      ['engines that are not met', /plugin_engines/, manifest((all) => ({ ...all, engines: { node: '>=99' } }))],
      ['a version that is none', /plugin_invalid_manifest/, manifest((all) => ({ ...all, version: 'new' }))],
      ['no baton section', /plugin_invalid_manifest/, manifest(({ baton: _, ...all }) => all)],
      [
        'an api version that is no range',
        /plugin_(invalid_manifest|api_version)/,
        manifest((all) => ({ ...all, baton: { apiVersion: {}, provides: ['manager:hot'] } })),
      ],
      [
        'provides of another kind',
        /plugin_invalid_manifest/,
        manifest((all) => ({ ...all, baton: { apiVersion: '^1.0.0', provides: ['rocket:hot'] } })),
      ],
      [
        'provides that it does not provide',
        /plugin_provides_mismatch/,
        manifest((all) => ({ ...all, baton: { apiVersion: '^1.0.0', provides: ['manager:hot', 'manager:cold'] } })),
      ],
      [
        'provides that leave out what it provides',
        /plugin_(provides_mismatch|invalid_manifest)/,
        manifest((all) => ({ ...all, baton: { apiVersion: '^1.0.0', provides: ['picker:cold'] } })),
      ],
    ])('refuses %s', async (_what, code, spoil) => {
      const answer = await spoilt(spoil);
      expect(answer).toEqual({ status: 422, code: expect.stringMatching(code) });
    });

    it.each([
      ['text that is no JSON', '{'],
      ['a list', '[]'],
      ['null', 'null'],
      ['the name of another directory', JSON.stringify({ name: '../../etc', version: '1.0.0' })],
    ])('is not upset by a package.json with %s', async (_what, text) => {
      await folder.write('strange', { 'package.json': text, 'index.js': '' });
      expect((await admin.scan()).status).toBe(200);
      const faulty = (await admin.plugins()).filter(({ status }) => status === 'refused');
      expect(faulty.some(({ name, reason, fix }) => /strange|etc/.test(`${name}${reason}`) && fix !== '')).toBe(true);
      await folder.remove('strange');
    });
  });

  describe('code that misbehaves elsewhere', () => {
    it('survives a plugin that leaks an interval', async () => {
      await folder.drop('leaks-a-timer');
      expect((await admin.load('leaks-a-timer')).status).toBe(200);
      expect((await admin.unload('leaks-a-timer')).status).toBe(200);
      await folder.remove('leaks-a-timer');
    });

    it('survives a plugin that leaves rejected promises about', async () => {
      await folder.drop('rejects-unhandled');
      expect((await admin.load('rejects-unhandled')).status).toBe(200);
      for (let request = 0; request < 3; request += 1) expect((await question(instance.url)).status).toBe(200);
      const told = (plugin: string): number => loggedFaults(instance).filter((fault) => fault.plugin === plugin).length;
      await eventually('all are told of', () => told('rejects-unhandled') === 3 && told('(unknown)') === 6);
      expect(instance.child.exitCode).toBeNull();
      await folder.remove('rejects-unhandled');
    });
  });
});

async function editJson(file: string, change: (value: Record<string, unknown>) => unknown): Promise<void> {
  await writeFile(file, JSON.stringify(change(JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>)));
}
