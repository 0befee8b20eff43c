import { describe, expect, it } from '@jest/globals';
import { helpText, readCommandLine } from './command-line.js';
import { ConfigError } from './config.error.js';
import { LEAVES } from './leaves.js';

describe('the command line', () => {
  it('is read', () => {
    expect(readCommandLine(['--config', 'a.yaml', '--print-config'])).toEqual({
      file: 'a.yaml',
      printConfig: true,
      help: false,
    });
  });

  it.each([[['--nonsense']], [['a.yaml']], [['--config']]])('refuses %j', (args) => {
    expect(() => readCommandLine(args)).toThrow(ConfigError);
  });

  it('tells every setting', () => {
    for (const { key, variable } of LEAVES) expect(helpText()).toContain(`${key} (${variable})`);
  });
});
