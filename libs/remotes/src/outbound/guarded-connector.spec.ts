import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { LookupAddress } from 'node:dns';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Agent, request } from 'undici';
import { guardedConnector } from './guarded-connector.js';
import type { Resolve } from './guarded-lookup.js';
import { NetworkPolicy, type NetworkPolicyOptions } from './network-policy.js';

let canary: Server;
let connections: number;
let agent: Agent | undefined;

beforeEach(async () => {
  connections = 0;
  canary = createServer((_request, response) => response.end('reached'));
  canary.on('connection', () => (connections += 1));
  canary.listen(0, '127.0.0.1');
  await once(canary, 'listening');
});

afterEach(async () => {
  await agent?.destroy();
  canary.closeAllConnections();
  canary.close();
});

const port = (): number => (canary.address() as AddressInfo).port;
const V4 = (address: string): LookupAddress => ({ address, family: 4 });

/** What a request to `host` comes to, when names resolve to these one after the other. */
async function dialled(
  host: string,
  answers: readonly LookupAddress[][] = [],
  networks: NetworkPolicyOptions = {},
): Promise<string> {
  let asked = 0;
  const resolve: Resolve = (_name, _options, done) => {
    const answer = answers[Math.min(asked++, answers.length - 1)];
    if (answer === undefined) done(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }), []);
    else done(null, answer);
  };
  agent = new Agent({ connect: guardedConnector(new NetworkPolicy(networks), { timeoutMs: 500, resolve }) });
  try {
    const { body } = await request(`http://${host}:${port()}/`, { dispatcher: agent });
    return await body.text();
  } catch (error) {
    // Not `instanceof Error`: Node's own errors are made outside of the context that Jest runs specs in.
    return String(typeof error === 'object' && error !== null && 'code' in error ? error.code : error);
  }
}

const REFUSED = 'ERR_ADDRESS_NOT_ALLOWED';

describe('guardedConnector', () => {
  it('reaches what is allowed, by address and by name', async () => {
    expect(await dialled('127.0.0.1')).toBe('reached');
    expect(await dialled('p.example', [[V4('127.0.0.1')]])).toBe('reached');
    expect(connections).toBe(2);
  });

  it.each([
    ['a literal', '169.254.169.254', []],
    ['a mapped literal', '[::ffff:169.254.169.254]', []],
    ['the unspecified address, which is this host', '0.0.0.0', []],
    ['a name that resolves to it', 'metadata.example', [[V4('169.254.169.254')]]],
    ['a name that resolves to the unspecified address', 'zero.example', [[V4('0.0.0.0')]]],
    ['a name of several', 'both.example', [[V4('169.254.169.254'), { address: 'fe80::1', family: 6 }]]],
  ])('refuses %s', async (_what, host, answers) => {
    expect(await dialled(host, answers)).toBe(REFUSED);
    expect(connections).toBe(0);
  });

  it('keeps to the networks that are named', async () => {
    expect(await dialled('127.0.0.1', [], { allowedNetworks: ['10.0.0.0/8'] })).toBe(REFUSED);
    expect(await dialled('p.example', [[V4('127.0.0.1')]], { allowedNetworks: ['10.0.0.0/8'] })).toBe(REFUSED);
    expect(connections).toBe(0);
    expect(await dialled('p.example', [[V4('127.0.0.1')]], { allowedNetworks: ['127.0.0.0/8'] })).toBe('reached');
  });

  it('connects to an address that it has checked, not to what the name resolves to the next time', async () => {
    const rebinding = [[V4('127.0.0.2')], [V4('127.0.0.1')]];
    // Nobody listens at the first address; the second one would be the canary.
    expect(await dialled('rebinding.example', rebinding)).toBe('ECONNREFUSED');
    expect(connections).toBe(0);
    const late = [[V4('127.0.0.1')], [V4('169.254.169.254')]];
    expect(await dialled('rebinding.example', late)).toBe('reached');
  });

  it('takes of several addresses the one that is allowed', async () => {
    expect(await dialled('both.example', [[V4('169.254.169.254'), V4('127.0.0.1')]])).toBe('reached');
  });

  it('says of a name that is none what the system says', async () => {
    expect(await dialled('nobody.example')).toBe('ENOTFOUND');
  });

  it('uses the system to resolve by default', async () => {
    agent = new Agent({ connect: guardedConnector(new NetworkPolicy(), { timeoutMs: 500 }) });
    const { body } = await request(`http://localhost:${port()}/`, { dispatcher: agent });
    expect(await body.text()).toBe('reached');
  });
});
