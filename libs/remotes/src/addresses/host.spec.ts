import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { isIPv4, isIPv6 } from 'node:net';
import { readHost, readHostPort, readPort } from './host.js';

describe('readHost', () => {
  it.each([
    ['10.0.0.7', '10.0.0.7'],
    ['::1', '[::1]'],
    ['[0:0:0:0:0:0:0:1]', '[::1]'],
    ['[FD00::7]', '[fd00::7]'],
    ['vllm-p-0.vllm.ns.svc.cluster.local', 'vllm-p-0.vllm.ns.svc.cluster.local'],
    ['LocalHost', 'localhost'],
    ['7.example.org', '7.example.org'],
    ['1a', '1a'],
  ])('reads %s as %s', (text, host) => expect(readHost(text)).toBe(host));

  it.each([
    ...[
      '127.1',
      '2130706433',
      '0x7f000001',
      '0x7f.0.0.1',
      '0177.0.0.1',
      '127.0.0.01',
      '127.0.0.1.',
      '1.2.3.4.5',
      '256.1.1.1',
    ],
    ...['①②⑦.⓪.⓪.①', '１２７.0.0.1', '127。0。0。1', 'ex\u00e4mple.org', 'lo\u212Aalhost', 'e\u0131x', '\u212A'],
    ...[
      'a\\@b',
      'user@host',
      'u:p@host',
      'host/path',
      'host?x',
      'host#x',
      'ho\tst',
      'ho\nst',
      ' host',
      'host ',
      'host%00',
      '%61',
    ],
    ...[
      '[::1',
      '::1]',
      '[[::1]]',
      '[127.0.0.1]',
      'fe80::1%eth0',
      '[::1%25lo]',
      '::ffff:1.2.3',
      'a..b',
      '-a',
      'a-',
      'a_b',
      '*',
      '',
    ],
    ...['a'.repeat(64), `${'a.'.repeat(127)}a`, 'http://host', 'host:80'],
    ...[undefined, null, 2_130_706_433, 7n, true, ['10.0.0.7'], { host: 'a' }],
  ])('refuses %j', (value) => expect(readHost(value)).toBeUndefined());

  it('reads nothing that a URL parser would read as another host', () => {
    const odd = fc.string({ unit: fc.constantFrom(...'0123456789.abcdefx:[]@\\/%?#-_ \t①。') });
    fc.assert(
      fc.property(fc.oneof(odd, fc.string(), fc.ipV4Extended(), fc.ipV6(), fc.domain()), (text) => {
        const host = readHost(text);
        if (host === undefined) return;
        expect(new URL(`http://${host}:1`).hostname).toBe(host);
        expect(readHost(host)).toBe(host);
        if (/^[\d.]+$/.test(host)) expect(isIPv4(host)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it('reads every address, whatever its spelling', () => {
    fc.assert(fc.property(fc.ipV4(), (text) => expect(readHost(text)).toBe(text)));
    fc.assert(fc.property(fc.ipV6(), (text) => expect(isIPv6(String(readHost(text)).slice(1, -1))).toBe(true)));
  });
});

describe('readPort', () => {
  it.each([
    [1, 1],
    [65_535, 65_535],
    ['8998', 8998],
  ])('reads %j', (value, port) => expect(readPort(value)).toBe(port));

  it.each([
    ...[
      0,
      65_536,
      -1,
      1.5,
      NaN,
      Infinity,
      80n,
      '0',
      '65536',
      '080',
      '80 ',
      ' 80',
      '1e3',
      '0x50',
      '+80',
      '80.0',
      '８０',
    ],
    ...['', '9007199254740993', null, undefined, true, [80], {}],
  ])('refuses %p', (value) => expect(readPort(value)).toBeUndefined());
});

describe('readHostPort', () => {
  it.each([
    ['10.0.0.7:80', { host: '10.0.0.7', port: 80 }],
    ['[::1]:80', { host: '[::1]', port: 80 }],
    ['p:65535', { host: 'p', port: 65_535 }],
  ])('reads %s', (text, read) => expect(readHostPort(text)).toEqual(read));

  it.each(['', ':', '80', 'p', 'p:', ':80', '::1:80', 'p:0', 'p:65536', 'p:80:90', 'p:80/', 'u@p:80', 'p:8 0'])(
    'refuses %j',
    (text) => expect(readHostPort(text)).toBeUndefined(),
  );
});
