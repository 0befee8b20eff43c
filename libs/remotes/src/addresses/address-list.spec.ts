import { describe, expect, it } from '@jest/globals';
import { AddressList } from './address-list.js';

describe('AddressList', () => {
  const list = new AddressList(['10.0.0.7:5600', '10.0.0.7:5601', 'P-0.example:*', '[::1]:80']);

  it.each([
    ['10.0.0.7', 5600, true],
    ['10.0.0.7', 5601, true],
    ['10.0.0.7', 5602, false],
    ['10.0.0.7', undefined, false],
    ['10.0.0.8', 5600, false],
    ['p-0.example', 1, true],
    ['p-0.example', undefined, true],
    ['p-1.example', 1, false],
    ['[::1]', 80, true],
    ['[::1]', 81, false],
  ])('%s with port %s: %s', (host, port, is) => expect(list.allows(host, port)).toBe(is));

  it('knows hosts', () => expect([list.knows('10.0.0.7'), list.knows('10.0.0.8')]).toEqual([true, false]));

  it('allows nobody when it is empty', () => expect(new AddressList().allows('10.0.0.7', 80)).toBe(false));

  it.each(['', 'p', '*', '*:80', 'p:', 'p:0', 'p:**', '127.1:80', 'u@p:80', '::1:80', 'http://p:80'])(
    'refuses the entry %j',
    (entry) => expect(() => new AddressList([entry])).toThrow(`Address "${entry}" must be host:port or host:*.`),
  );
});
