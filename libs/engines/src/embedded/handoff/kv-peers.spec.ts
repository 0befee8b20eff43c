import { describe, expect, it } from '@jest/globals';
import { AddressList } from '@baton/remotes';
import { assertPeerAllowed, hostOf } from './kv-peers.js';

const isAllowed = (peers: string[], host: string, port: number): boolean => {
  try {
    assertPeerAllowed(new AddressList(peers), host, port);
    return true;
  } catch (error) {
    expect(error).toMatchObject({ status: 403, code: 'address_not_allowed' });
    return false;
  }
};

describe('assertPeerAllowed', () => {
  it('allows nobody by default', () => {
    expect(isAllowed([], '127.0.0.1', 80)).toBe(false);
  });

  it('compares host and port exactly', () => {
    expect(isAllowed(['10.0.0.7:5600'], '10.0.0.7', 5600)).toBe(true);
    expect(isAllowed(['10.0.0.7:5600'], '10.0.0.7', 5601)).toBe(false);
    expect(isAllowed(['10.0.0.7:5600'], '110.0.0.7', 5600)).toBe(false);
  });

  it('allows any port with *', () => {
    expect(isAllowed(['Decoder:*'], 'decoder', 1)).toBe(true);
    expect(isAllowed(['decoder:*'], 'other', 1)).toBe(false);
  });

  it('knows IPv6 with and without brackets', () => {
    expect(isAllowed(['[::1]:5600'], '::1', 5600)).toBe(true);
  });

  it('knows no other spelling of an address', () => {
    for (const host of [
      '127.1',
      '2130706433',
      '0x7f.0.0.1',
      '0177.0.0.1',
      '127.0.0.1.',
      '::ffff:127.0.0.1',
      'a\\@b',
      '',
    ]) {
      expect(isAllowed(['127.0.0.1:*'], host, 80)).toBe(false);
    }
  });
});

it.each([
  ['10.0.0.7:*', '10.0.0.7'],
  ['[::1]:5600', '[::1]'],
])('the host of %s is %s', (peer, host) => {
  expect(hostOf(peer)).toBe(host);
});
