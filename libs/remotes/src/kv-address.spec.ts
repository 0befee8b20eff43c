import { describe, expect, it } from '@jest/globals';
import { parseKvAddress } from './kv-address.js';

describe('parseKvAddress', () => {
  it.each([
    ['10.0.0.7:8998', '10.0.0.7', [8998]],
    ['prefill-0.pool.svc:8998', 'prefill-0.pool.svc', [8998]],
    ['p:1', 'p', [1]],
    ['[::1]:8998', '[::1]', [8998]],
    ['[fe80::1:2]:65535', '[fe80::1:2]', [65_535]],
    ['10.0.0.7:7300,7400', '10.0.0.7', [7300, 7400]],
  ])('reads %s', (text, host, ports) => {
    expect(parseKvAddress(text)).toEqual({ host, ports });
  });

  it.each([
    '',
    '10.0.0.7',
    ':8998',
    '10.0.0.7:',
    '10.0.0.7:0',
    '10.0.0.7:65536',
    '10.0.0.7:1,',
    '10.0.0.7:1,0',
    '10.0.0.7:-1',
    '10.0.0.7:1e3',
    'http://10.0.0.7:8998',
    '10.0.0.7:8998/query',
    '::1:8998',
    '-p:1',
    'p.:1',
    'p :1',
    'p:1\n',
    'user@p:1',
  ])('refuses %j, naming it', (text) => {
    expect(() => parseKvAddress(text)).toThrow(`KV address "${text}" must be host:port`);
  });
});
