import { describe, expect, it } from '@jest/globals';
import { decodeEnvironment, prefillEnvironment } from './instance-environment.js';

const env = { PATH: '/bin', BATON_MODEL: 'm.gguf', BATON_PREFILL_PORT: '1', BATON_DECODE_PORT: '2' };

const KEY = 'k'.repeat(64);

describe('the environment of an instance', () => {
  it('makes the prefill instance coordinate with the decode instance', () => {
    expect(prefillEnvironment(env, 8100, 'http://127.0.0.1:8200', KEY)).toMatchObject({
      BATON_SERVER_HOST: '127.0.0.1',
      BATON_SERVER_PORT: '8100',
      BATON_COORDINATION_CONNECTOR: 'embedded',
      BATON_COORDINATION_DECODE_ENDPOINTS: 'http://127.0.0.1:8200',
      BATON_KV_PORT: '0',
    });
  });

  it('lets the decode instance read from one side channel and coordinate nothing', () => {
    const decode = decodeEnvironment(env, 8200, '127.0.0.1:4711', KEY);
    expect(decode['BATON_KV_PEERS']).toBe('127.0.0.1:4711');
    expect(decode).not.toHaveProperty('BATON_COORDINATION_CONNECTOR');
  });

  it("passes the caller's variables on, but not the pair's own", () => {
    const decode = decodeEnvironment(env, 8200, '127.0.0.1:4711', KEY);
    expect(decode).toMatchObject({ PATH: '/bin', BATON_MODEL: 'm.gguf' });
    expect(decode).not.toHaveProperty('BATON_PREFILL_PORT');
    expect(decode).not.toHaveProperty('BATON_DECODE_PORT');
  });

  it('gives each engine one thread unless the caller wants more', () => {
    expect(decodeEnvironment(env, 1, '', KEY)['BATON_ENGINE_THREADS']).toBe('1');
    expect(decodeEnvironment({ BATON_ENGINE_THREADS: '4' }, 1, '', KEY)['BATON_ENGINE_THREADS']).toBe('4');
    expect(decodeEnvironment(env, 1, '', KEY)['BATON_ENGINE_INSTANCES_ON_MACHINE']).toBe('2');
  });

  it('lets the two know each other by a key, and clients come without one', () => {
    const prefill = prefillEnvironment(env, 8100, 'http://127.0.0.1:8200', KEY);
    const decode = decodeEnvironment({ ...env, BATON_SECURITY_PEER_KEYS: 'mine:abc' }, 8200, '127.0.0.1:4711', KEY);
    expect(prefill).toMatchObject({ BATON_SECURITY_PEER_KEYS: `pair:${KEY}`, BATON_COORDINATION_DECODE_API_KEY: KEY });
    expect(decode).toMatchObject({ BATON_SECURITY_PEER_KEYS: `mine:abc,pair:${KEY}`, BATON_KV_API_KEY: KEY });
    expect(prefill).not.toHaveProperty('BATON_SECURITY_CLIENT_KEYS');
  });
});
