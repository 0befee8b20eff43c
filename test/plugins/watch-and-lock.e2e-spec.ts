import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.js';
import { PluginRig } from './support/rig.js';
import { writtenManager } from './support/written-manager.js';

const hot = (version: string) => writtenManager({ plugin: 'hot', version, priority: -50 });

describe('a directory of plugins', () => {
  let rig: PluginRig;

  beforeAll(async () => {
    rig = await PluginRig.start();
  });
  afterAll(() => rig.stop());

  it('is watched when that is wanted: what is dropped is loaded, what changes is replaced', async () => {
    const folder = await rig.folder();
    const { admin } = await rig.instance({ directories: [folder.path], pluginHost: { watch: true } });
    const isLoaded = (version: string): Promise<number> =>
      eventually(
        `version ${version} is loaded`,
        async () => {
          const plugin = await admin.plugin('hot');
          return plugin?.version === version && plugin.status === 'loaded';
        },
        20_000,
      );
    await folder.write('hot', hot('1.0.0'));
    await isLoaded('1.0.0');
    await folder.write('hot', hot('2.0.0'));
    await isLoaded('2.0.0');
  });

  it('may hold only what the lock names', async () => {
    const folder = await rig.folder();
    await folder.write('hot', hot('1.0.0'));
    const { admin: open } = await rig.instance({ directories: [folder.path] });
    const { contentHash } = (await open.plugin('hot'))!;

    const { admin } = await rig.instance({ directories: [folder.path], pluginHost: { lock: { hot: contentHash } } });
    expect((await admin.plugin('hot'))?.status).toBe('loaded');
    await folder.write('hot', writtenManager({ plugin: 'hot', version: '1.0.0', priority: -50, line: '// One more.' }));
    const { status, error } = await admin.load('hot');
    expect({ status, code: error.code }).toEqual({ status: 422, code: 'plugin_hash_mismatch' });
    expect(await admin.plugin('hot')).toMatchObject({ status: 'loaded', contentHash });
    await folder.drop('good-manager');
    expect((await admin.load('@acme/good-manager')).error.code).toBe('plugin_hash_mismatch');
  });
});
