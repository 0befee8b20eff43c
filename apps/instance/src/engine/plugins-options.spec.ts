import { expect, it } from '@jest/globals';
import { loadConfig } from '../config/load-config.js';
import { coordinationOptions } from './coordination-options.js';
import { pluginsOptions } from './plugins-options.js';

const HASH = `sha256-${'A'.repeat(43)}=`;

it('gives the plugin host its configuration; an empty lock locks nothing', () => {
  const env = { BATON_PLUGIN_DIRECTORIES: '/opt/plugins', BATON_PLUGINS: '{"a":{"key":"k"}}' };
  const options = pluginsOptions(loadConfig({ env }));
  expect(options).toMatchObject({ directories: ['/opt/plugins'], options: { a: { key: 'k' } }, maxLoads: 200 });
  expect(Object.keys(options)).not.toEqual(expect.arrayContaining(['lock']));
  expect(Object.keys(options)).not.toEqual(expect.arrayContaining(['stagingDirectory']));
  const locked = { BATON_PLUGIN_HOST_LOCK: JSON.stringify({ a: HASH }), BATON_PLUGIN_HOST_STAGING_DIRECTORY: '/srv' };
  expect(pluginsOptions(loadConfig({ env: locked }))).toMatchObject({ lock: { a: HASH }, stagingDirectory: '/srv' });
});

it('says where policies are kept', () => {
  const of = (env: NodeJS.ProcessEnv) => coordinationOptions(loadConfig({ env })).policyState;
  expect(of({})).toEqual({ kind: 'memory' });
  const file = { BATON_COORDINATION_POLICY_STATE: 'file', BATON_COORDINATION_POLICY_STATE_DIRECTORY: '/var/lib/baton' };
  expect(of(file)).toEqual({ kind: 'file', directory: '/var/lib/baton' });
});
