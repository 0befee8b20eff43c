import { describe, expect, it } from '@jest/globals';
import { assertPeerAllowed } from './kv-peers.js';

const isAllowed = (peers: string[], host: string, port: number): boolean => {
  try {
    assertPeerAllowed(peers, host, port);
    return true;
  } catch (error) {
    expect(error).toMatchObject({ status: 403, code: 'kv_peer_not_allowed' });
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
});
