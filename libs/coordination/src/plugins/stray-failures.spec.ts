import { describe, expect, it } from '@jest/globals';
import { homeOf } from './stray-failures.js';

const HOMES = [
  { home: '/tmp/staged/1', plugin: 'a', version: '1.0.0' },
  { home: '/tmp/staged/12', plugin: 'b', version: '1.0.0' },
];

const thrown = (...frames: string[]): Error =>
  Object.assign(new Error('x'), {
    stack: ['Error: x', ...frames.map((frame) => `    at f (${frame}:1:2)`)].join('\n'),
  });

describe('homeOf', () => {
  it.each([
    ['a module', ['file:///tmp/staged/12/plugin/index.js'], 'b'],
    ['a script', ['/tmp/staged/1/plugin/index.cjs'], 'a'],
    ['the first of two', ['node:events', 'file:///tmp/staged/1/plugin/a.js', 'file:///tmp/staged/12/plugin/b.js'], 'a'],
    ['none', ['file:///app/main.js', 'file:///tmp/staged/123/x.js'], undefined],
  ])('finds whose code it is: %s', (_what, frames, plugin) => {
    expect(homeOf(thrown(...frames), HOMES)?.plugin).toBe(plugin);
  });

  it('knows nothing of what has no stack', () => {
    expect(homeOf('file:///tmp/staged/1/plugin/index.js', HOMES)).toBeUndefined();
    expect(homeOf(Object.assign(new Error('x'), { stack: undefined }), HOMES)).toBeUndefined();
  });
});
