import { describe, expect, it } from '@jest/globals';
import { readManifest, type PluginManifest } from './manifest.js';
import { PluginError } from './plugin-error.js';

const GOOD = {
  name: '@acme/affinity',
  version: '1.2.3',
  type: 'module',
  exports: './dist/index.js',
  engines: { node: '>=20' },
  peerDependencies: { rxjs: '^7.8.0', 'class-validator': '*' },
  peerDependenciesMeta: { 'class-validator': { optional: true } },
  baton: { apiVersion: '^1.0.0', provides: ['manager:affinity', 'picker:affinity'] },
};

const read = (change: object = {}): PluginManifest => readManifest({ ...GOOD, ...change }, 'folder');

function refusal(json: unknown): PluginError {
  try {
    readManifest(json, 'folder');
  } catch (error) {
    if (error instanceof PluginError) return error;
    throw error;
  }
  throw new Error('It was taken.');
}

describe('readManifest', () => {
  it('reads what a plugin says of itself', () => {
    expect(read()).toEqual({
      name: '@acme/affinity',
      version: '1.2.3',
      entry: 'dist/index.js',
      provides: ['manager:affinity', 'picker:affinity'],
      peers: [
        { name: 'rxjs', range: '^7.8.0', isOptional: false },
        { name: 'class-validator', range: '*', isOptional: true },
      ],
    });
  });

  it.each([
    ['a path', './dist/index.js', 'dist/index.js'],
    ['a map of paths', { '.': './a.mjs', './b': './b.js' }, 'a.mjs'],
    [
      'the first condition that holds',
      { types: './a.d.ts', browser: './b.js', import: './c.js', default: './d.js' },
      'c.js',
    ],
    ['conditions in conditions', { '.': { node: { require: './a.cjs', default: './b.js' } } }, 'b.js'],
    ['the default, when no other holds', { '.': { require: './a.cjs', default: './c.cjs' } }, 'c.cjs'],
  ])('takes the entry of exports: %s', (_what, exported, entry) => {
    expect(read({ exports: exported }).entry).toBe(entry);
  });

  it('takes main, and index.js, when it exports nothing', () => {
    expect(read({ exports: undefined, main: 'lib/main.cjs' }).entry).toBe('lib/main.cjs');
    expect(read({ exports: undefined }).entry).toBe('index.js');
  });

  it.each([
    ['../other/index.js', 'plugin_entry_outside'],
    ['./dist/../../index.js', 'plugin_entry_outside'],
    ['..\\other\\index.js', 'plugin_entry_outside'],
    ['/etc/index.js', 'plugin_entry_outside'],
    ['file:///etc/index.js', 'plugin_entry_outside'],
    ['./src/index.ts', 'plugin_invalid_manifest'],
    ['./index.json', 'plugin_invalid_manifest'],
    [{ './other': './index.js' }, 'plugin_invalid_manifest'],
    [7, 'plugin_invalid_manifest'],
    [null, 'plugin_invalid_manifest'],
  ])('refuses the entry %j', (exported, code) => {
    expect(refusal({ ...GOOD, exports: exported }).code).toBe(code);
  });

  it.each<[what: string, json: unknown, code: string, says: RegExp]>([
    ['no object', [], 'plugin_invalid_manifest', /^Plugin folder: its package\.json is no JSON object\. /],
    ['no name', { ...GOOD, name: undefined }, 'plugin_invalid_manifest', /^Plugin folder: "name"/],
    ['a name that leads elsewhere', { ...GOOD, name: '../etc' }, 'plugin_invalid_manifest', /^Plugin folder: "name"/],
    ['no version', { ...GOOD, version: 'new' }, 'plugin_invalid_manifest', /^Plugin @acme\/affinity: "version"/],
    ['no baton object', { ...GOOD, baton: 'yes' }, 'plugin_invalid_manifest', /no "baton" object/],
    ['no range', { ...GOOD, baton: { apiVersion: 1, provides: [] } }, 'plugin_invalid_manifest', /"baton\.apiVersion"/],
    [
      'another API',
      { ...GOOD, baton: { ...GOOD.baton, apiVersion: '^2.0.0' } },
      'plugin_api_version',
      /\^2\.0\.0.* 1\.0\.0/,
    ],
    ['another Node', { ...GOOD, engines: { node: '>=99' } }, 'plugin_engines', />=99/],
    ['an engine that is no range', { ...GOOD, engines: { node: 20 } }, 'plugin_invalid_manifest', /"engines\.node"/],
    [
      'nothing to bring',
      { ...GOOD, baton: { ...GOOD.baton, provides: [] } },
      'plugin_invalid_manifest',
      /"baton\.provides"/,
    ],
    [
      'another kind',
      { ...GOOD, baton: { ...GOOD.baton, provides: ['manager:a', 'rocket:b'] } },
      'plugin_invalid_manifest',
      /"baton\.provides\[1\]"/,
    ],
    [
      'one thing twice',
      { ...GOOD, baton: { ...GOOD.baton, provides: ['manager:a', 'manager:a'] } },
      'plugin_invalid_manifest',
      /manager:a twice/,
    ],
    ['a peer without range', { ...GOOD, peerDependencies: { rxjs: 'x y z' } }, 'plugin_invalid_manifest', /of rxjs/],
    [
      'a peer that leads elsewhere',
      { ...GOOD, peerDependencies: { '../x': '*' } },
      'plugin_invalid_manifest',
      /\.\.\/x/,
    ],
  ])('refuses %s', (_what, json, code, says) => {
    const error = refusal(json);
    expect([error.code, error.status]).toEqual([code, 422]);
    expect(error.message).toMatch(says);
    expect(error.message).toBe(`Plugin ${error.plugin}: ${error.reason}. ${error.fix}`);
    expect(error.fix).toMatch(/\.$/);
  });
});
