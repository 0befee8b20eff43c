import { describe, expect, it } from '@jest/globals';
import { readSettings } from './settings.js';
import { UsageError } from './usage.error.js';

describe('readSettings', () => {
  it('takes ports 8100 and 8200 and shows the example when nothing is said', () => {
    expect(readSettings({}, [])).toEqual({
      prefillPort: 8100,
      decodePort: 8200,
      verbose: false,
      example: true,
      help: false,
    });
  });

  it('reads ports from the environment and flags from the command line', () => {
    const env = { BATON_PREFILL_PORT: '9000', BATON_DECODE_PORT: ' 0 ' };
    expect(readSettings(env, ['--verbose', '--no-example'])).toMatchObject({
      prefillPort: 9000,
      decodePort: 0,
      verbose: true,
      example: false,
    });
  });

  it('lets both take any free port', () => {
    const env = { BATON_PREFILL_PORT: '0', BATON_DECODE_PORT: '0' };
    expect(readSettings(env, [])).toMatchObject({ prefillPort: 0, decodePort: 0 });
  });

  it.each(['abc', '-1', '65536', '80.5', '1e3'])('refuses the port %s and names variable and range', (value) => {
    expect(() => readSettings({ BATON_PREFILL_PORT: value }, [])).toThrow(
      new UsageError(`BATON_PREFILL_PORT is "${value}": it must be a whole number from 0 to 65535.`),
    );
  });

  it('refuses one port for both', () => {
    expect(() => readSettings({ BATON_PREFILL_PORT: '8200' }, [])).toThrow(/both 8200/);
  });

  it('refuses an unknown flag', () => {
    expect(() => readSettings({}, ['--nope'])).toThrow(UsageError);
  });
});
