import { describe, expect, it } from '@jest/globals';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from './config.error.js';
import { helpText } from './command-line.js';
import { loadConfig, mergeLayers } from './load-config.js';
import { printConfig, shownConfig } from './print-config.js';
import { readYaml } from './read-file.js';

const HASH = `sha256-${'A'.repeat(43)}=`;

function problemsOf(env: NodeJS.ProcessEnv, yaml = ''): readonly string[] {
  try {
    mergeLayers([readYaml(yaml, 'file')]);
    loadConfig({ env });
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('the configuration of plugins', () => {
  it('finds the plugins of this installation, wherever it was started', () => {
    const [directory = ''] = loadConfig({ env: {} }).pluginDirectories;
    expect(existsSync(join(directory, 'README.md'))).toBe(true);
    expect(existsSync(join(directory, '..', 'apps', 'instance'))).toBe(true);
    // A default that names this machine would be of no use to anybody else.
    expect(helpText()).not.toContain(directory);
    expect(helpText()).toMatch(/pluginDirectories \(BATON_PLUGIN_DIRECTORIES\)\n.*Default: plugins, beside apps\./);
  });

  it('takes directories from the environment, and none', () => {
    const of = (text: string) => loadConfig({ env: { BATON_PLUGIN_DIRECTORIES: text } }).pluginDirectories;
    expect(of('/opt/a, b')).toEqual(['/opt/a', 'b']);
    expect(of('')).toEqual([]);
  });

  it('takes options by name, also of scoped plugins, from either source', () => {
    const plugins = { hedge: { delayMs: 5, tags: ['a'] }, '@acme/x': {} };
    expect(loadConfig({ env: { BATON_PLUGINS: JSON.stringify(plugins) } }).plugins).toEqual(plugins);
    const yaml = 'plugins: {hedge: {delayMs: 5, tags: [a]}, "@acme/x": {}}';
    expect(mergeLayers([readYaml(yaml, 'file')]).plugins).toEqual(plugins);
    expect(loadConfig({ env: { BATON_PLUGINS: '' } }).plugins).toEqual({});
  });

  it('shows which options are set, and no value of them', () => {
    const env = { BATON_PLUGINS: '{"hedge":{"token":"hunter2","deep":{"key":"hunter2"}}}' };
    const config = loadConfig({ env });
    expect(printConfig(config)).not.toContain('hunter2');
    expect(shownConfig(config).get('plugins')).toEqual({ hedge: { token: '***', deep: '***' } });
  });

  it.each([
    ['{"hedge":"hunter2"}', 'plugins.hedge'],
    ['{"Hedge!":{"a":"hunter2"}}', 'plugins.Hedge!'],
    ['{"../x":{"a":"hunter2"}}', 'plugins.../x'],
    ['["hunter2"]', 'plugins'],
    ['{"hedge":{"a":"hunter2"}', 'plugins'],
  ])('refuses the options %s, names %s and shows nothing of them', (text, key) => {
    const problems = problemsOf({ BATON_PLUGINS: text });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(`${key} (BATON_PLUGINS)`);
    expect(problems[0]).not.toContain('hunter2');
  });

  it('takes no name that means something else to JavaScript', () => {
    expect(problemsOf({}, 'plugins: {__proto__: {a: hunter2}}')).toEqual([
      'plugins.__proto__ (file): that is not the name of a plugin.',
    ]);
    expect(({} as { a?: string }).a).toBeUndefined();
  });

  it('bounds and locks plugins', () => {
    const env = { BATON_PLUGIN_HOST_LOCK: JSON.stringify({ '@acme/x': HASH }), BATON_PLUGIN_HOST_ON_FAULT: 'refuse' };
    const { pluginHost } = loadConfig({ env });
    expect(pluginHost).toMatchObject({ lock: { '@acme/x': HASH }, onFault: 'refuse', maxLoads: 200 });
  });

  it.each([
    [{ BATON_PLUGIN_HOST_LOCK: '{"x":"md5-1"}' }, 'pluginHost.lock.x'],
    [{ BATON_PLUGIN_HOST_LOCK: '[]' }, 'pluginHost.lock'],
    [{ BATON_PLUGIN_HOST_ON_FAULT: 'ignore' }, 'pluginHost.onFault'],
    [{ BATON_PLUGIN_HOST_WATCH: '1' }, 'pluginHost.watch'],
    [{ BATON_PLUGIN_HOST_LOAD_TIMEOUT_MS: '0' }, 'pluginHost.loadTimeoutMs'],
    [{ BATON_PLUGIN_HOST_MAX_LOADS: '0' }, 'pluginHost.maxLoads'],
    [{ BATON_PLUGIN_DIRECTORIES: 'a,a' }, 'pluginDirectories'],
    [{ BATON_PLUGIN_DIRECTORIES: 'a,,b' }, 'pluginDirectories'],
  ])('refuses %j and names %s', (env, key) => {
    expect(problemsOf(env)).toEqual([expect.stringMatching(new RegExp(`^${key.replaceAll('.', '\\.')} \\(BATON_`))]);
  });

  it('names a wrong type in the file', () => {
    expect(problemsOf({}, 'pluginDirectories: plugins')).toEqual([
      expect.stringContaining('pluginDirectories (file): "plugins" is not allowed; it must be a list of paths'),
    ]);
    expect(problemsOf({}, 'pluginHost: {watching: true}')).toEqual([
      expect.stringContaining('pluginHost.watching (file) is not a setting; pluginHost has onFault, lock, watch,'),
    ]);
  });

  it('reads what it prints', () => {
    const config = loadConfig({ env: { BATON_PLUGIN_HOST_LOCK: JSON.stringify({ x: HASH }) } });
    expect(mergeLayers([readYaml(printConfig(config), 'file')])).toEqual(config);
  });
});
