import { describe, expect, it } from '@jest/globals';
import { configWarnings } from './config-warnings.js';
import { loadConfig } from './load-config.js';

const KEY = 'k'.repeat(32);
const keys = {
  BATON_SECURITY_PEER_KEYS: `fleet:${KEY}`,
  BATON_COORDINATION_PREFILL_API_KEY: KEY,
  BATON_COORDINATION_DECODE_API_KEY: KEY,
};
const remote = {
  ...keys,
  BATON_COORDINATION_CONNECTOR: 'embedded',
  BATON_COORDINATION_DECODE_ENDPOINTS: 'http://127.0.0.1:8200,http://10.0.0.7:8200',
};
const warnings = (env: Readonly<Record<string, string>>): string[] => configWarnings(loadConfig({ env }));

describe('configWarnings', () => {
  it.each([
    { what: 'by default', env: remote, host: '127.0.0.1' },
    { what: 'listened on alone', env: { ...remote, BATON_KV_ADVERTISE_HOST: '10.0.0.6' }, host: '127.0.0.1' },
    {
      what: 'advertised alone',
      env: { ...remote, BATON_KV_HOST: '0.0.0.0', BATON_KV_ADVERTISE_HOST: 'localhost' },
      host: 'localhost',
    },
    { what: 'in IPv6', env: { ...remote, BATON_KV_HOST: '::1' }, host: '::1' },
  ])('warns once of a loopback side channel, $what, for a decode instance elsewhere', ({ env, host }) => {
    expect(warnings(env)).toEqual([expect.stringContaining(`http://10.0.0.7:8200 cannot pull KV from ${host},`)]);
  });

  it('warns of prefill instances whose KV may not be pulled', () => {
    const env = {
      ...keys,
      BATON_COORDINATION_CONNECTOR: 'embedded',
      BATON_COORDINATION_PREFILL_ENDPOINTS: 'http://10.0.0.6:8100',
    };
    expect(warnings(env)).toEqual([expect.stringContaining('http://10.0.0.6:8100 prefills for this instance')]);
    expect(warnings({ ...env, BATON_KV_PEERS: '10.0.0.6:*' })).toEqual([]);
  });

  const beside = (connector: string, role: 'PREFILL' | 'DECODE') => ({
    BATON_ENGINE_KIND: 'http',
    BATON_ENGINE_URL: 'http://127.0.0.1:8100',
    BATON_COORDINATION_CONNECTOR: connector,
    [`BATON_COORDINATION_${role}_ENDPOINTS`]: 'http://127.0.0.1:8200,http://10.0.0.7:8200',
  });

  it.each([
    ['sglang', 'DECODE'],
    ['mooncake', 'DECODE'],
    ['lmcache', 'PREFILL'],
  ] as const)('%s: warns once when those elsewhere are told to find KV on this machine', (connector, role) => {
    const env = beside(connector, role);
    const warning =
      'http://10.0.0.7:8200 cannot reach the KV transfer of http://127.0.0.1:8100, which it is told to find';
    expect(warnings(env)).toEqual([expect.stringContaining(warning)]);
    expect(warnings({ ...env, BATON_ENGINE_KV_ADDRESS: '10.0.0.6:8998' })).toEqual([]);
    expect(warnings({ ...env, BATON_ENGINE_URL: 'http://10.0.0.6:8100' })).toEqual([]);
    const here = { [`BATON_COORDINATION_${role}_ENDPOINTS`]: 'http://localhost:8200' };
    expect(warnings({ ...env, ...here })).toEqual([]);
  });

  it.each([
    { what: 'the other side tells the address', env: beside('sglang', 'PREFILL') },
    { what: 'the protocol tells none', env: beside('nixl', 'DECODE') },
    { what: 'coordination is off', env: { ...remote, BATON_COORDINATION_CONNECTOR: '' } },
    {
      what: 'all are on this machine',
      env: { ...remote, BATON_COORDINATION_DECODE_ENDPOINTS: 'http://[::1]:8200,http://localhost:8201' },
    },
    { what: 'the side channel can be reached', env: { ...remote, BATON_KV_HOST: '10.0.0.6' } },
    {
      what: 'the engine has no side channel',
      env: { ...remote, BATON_ENGINE_KIND: 'http', BATON_ENGINE_URL: 'http://127.0.0.1:8000' },
    },
  ])('is silent when $what', ({ env }) => {
    expect(warnings(env)).toEqual([]);
  });

  it('warns of open doors', () => {
    const open = { BATON_SERVER_HOST: '0.0.0.0' };
    expect(warnings(open)).toEqual([expect.stringContaining('Everybody who reaches 0.0.0.0 may ask')]);
    expect(warnings({ ...open, BATON_SECURITY_CLIENT_KEYS: `a:${KEY}` })).toEqual([]);
    expect(warnings({ ...open, BATON_SECURITY_KEYLESS: 'refuse' })).toEqual([]);
    expect(warnings({ BATON_SECURITY_KEYLESS: 'peer' })).toEqual([expect.stringContaining('security.keyless is peer')]);
    expect(warnings({})).toEqual([]);
  });

  it('warns of instances that do not know each other', () => {
    const env = {
      BATON_COORDINATION_CONNECTOR: 'embedded',
      BATON_COORDINATION_DECODE_ENDPOINTS: 'http://127.0.0.1:8200',
    };
    expect(warnings(env)).toEqual([
      expect.stringContaining('http://127.0.0.1:8200 is called without a key'),
      expect.stringContaining('Nobody may read the KV'),
    ]);
    expect(warnings({ ...env, ...keys })).toEqual([]);
  });
});
