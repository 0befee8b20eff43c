import { inferenceRequest, type JsonObject } from '@baton/inference';
import { parseEndpoint, RemoteClient } from '@baton/remotes';
import { describe, expect, it, jest } from '@jest/globals';
import { networkInterfaces } from 'node:os';
import type { CoordinationOptions } from '../coordination.options.js';
import { HandoffAddresses } from './handoff-addresses.js';

const REFUSED = expect.objectContaining({
  code: 'address_not_allowed',
  message: 'The handoff names an address that is not allowed here.',
});
const OPTIONS: CoordinationOptions = {
  kvPeers: ['10.0.0.7:5600', '10.0.0.8:*'],
  prefill: { endpoints: ['http://10.0.1.1:8000', { url: 'http://p:8000', kvAddress: '10.0.1.2:8998' }] },
  decode: { endpoints: [{ url: 'http://d:8000', kvAddress: 'd-kv:7300,7400' }] },
  local: { endpoint: { url: 'http://127.0.0.1:8000', kvAddress: 'me:22001' } },
};

describe('a leg', () => {
  const addresses = new HandoffAddresses(OPTIONS);
  const assertLeg =
    (body: JsonObject, id = 'leg-1') =>
    (): void =>
      addresses.assertLeg(inferenceRequest('completions', body, { id, caller: { trust: 'peer', label: 'p' } }));
  const pull = (remote_host: unknown, remote_port: unknown): JsonObject => ({
    kv_transfer_params: { do_remote_prefill: true, remote_host, remote_port },
  });
  const nested = (params: JsonObject): JsonObject => ({ sampling_params: { extra_args: params } });

  it.each<{ body: JsonObject; id?: string }>([
    { body: { prompt: 'a' } },
    { body: pull('10.0.0.7', 5600) },
    { body: pull('10.0.0.7', '5600') },
    { body: pull(['10.0.0.7', '10.0.0.8'], 5600) },
    { body: pull('10.0.0.8', 1) },
    { body: pull('10.0.1.2', 8998) },
    { body: pull('D-KV', 7400) },
    { body: nested(pull('10.0.0.8', 1)) },
    { body: { bootstrap_host: '10.0.1.2', bootstrap_room: 1 } },
    { body: { kv_transfer_params: { remote_bootstrap_addr: 'http://10.0.1.2:8998' } } },
    { body: { prompt: '10.9.9.9', messages: [{ remote_host: '10.9.9.9' }], metadata: { endpoint: 'http://x' } } },
    { body: { disaggregated_params: { encoded_opaque_state: Buffer.from('x 10.0.0.7 y').toString('base64') } } },
    { body: {}, id: '___prefill_addr_10.0.0.7:5600___decode_addr_me:22001_0a1b' },
  ])('may name what is listed: $body $id', ({ body, id }) => expect(assertLeg(body, id)).not.toThrow());

  it.each<{ body: JsonObject; id?: string }>([
    { body: pull('10.0.0.7', 5601) },
    { body: pull('10.0.0.7', undefined) },
    { body: pull('10.0.0.9', 5600) },
    { body: pull(['10.0.0.7', '10.0.0.9'], 5600) },
    { body: pull('10.0.0.7', [5600, 5601]) },
    { body: pull('10.0.0.7@10.0.0.9', 5600) },
    { body: pull('167772167', 5600) },
    { body: pull('::ffff:10.0.0.7', 5600) },
    { body: pull('10.0.1.1', 8000) },
    { body: nested(pull('10.0.0.9', 1)) },
    { body: { ...pull('10.0.0.7', 5600), ...nested(pull('10.0.0.9', 1)) } },
    { body: { vllm_xargs: pull('10.0.0.9', 1) } },
    { body: { ec_transfer_params: { a: { peer_host: '10.0.0.9', peer_port: 1 } } } },
    { body: { bootstrap_host: '10.0.0.7', bootstrap_port: 8998, bootstrap_room: 1 } },
    { body: { bootstrap_host: ['10.0.0.8', '10.0.0.9'], bootstrap_port: 1 } },
    { body: { disaggregated_params: { ctx_info_endpoint: '10.0.0.9:1' } } },
    { body: { disaggregated_params: { encoded_opaque_state: Buffer.from('x 10.0.0.9 y').toString('base64') } } },
    { body: { request_id: '___prefill_addr_10.0.0.9:1___decode_addr_me:22001_0a' } },
    { body: {}, id: '___prefill_addr_10.0.0.9:1___decode_addr_me:22001_0a1b' },
    { body: {}, id: '___PREFILL_ADDR_10.0.0.9:1___' },
  ])('may not name anything else: $body $id', ({ body, id }) => {
    expect(assertLeg(body, id)).toThrow(REFUSED);
    expect(assertLeg(body, id)).toThrow(expect.objectContaining({ status: 403, type: 'permission_error' }));
  });

  it('is not looked at where the handlers do so', () => {
    const unchecked = new HandoffAddresses({ local: { checksAddresses: true } });
    expect(() => unchecked.assertLeg(inferenceRequest('completions', pull('10.0.0.9', 1)))).not.toThrow();
  });
});

describe('what P answers', () => {
  const addresses = new HandoffAddresses(OPTIONS);
  const plain = { endpoint: parseEndpoint('http://10.0.1.1:8000') };
  const pinned = { endpoint: parseEndpoint({ url: 'http://p:8000', kvAddress: '10.0.1.2:8998' }) };
  const assertAnswer = (params: JsonObject, site: { endpoint: typeof plain.endpoint | undefined }) => (): void =>
    addresses.assertAnswer(params, site);

  it.each([
    ['its own host, with any port', { remote_host: '10.0.1.1', remote_port: 5600 }, plain],
    ['its own KV address', { remote_host: '10.0.1.2', remote_port: 8998 }, pinned],
    ['a peer', { remote_host: '10.0.0.7', remote_port: 5600 }, pinned],
    ['nobody', { remote_engine_id: 'e-1', remote_block_ids: [[1]] }, plain],
    ['anybody, from this process', { remote_host: '10.9.9.9', remote_port: 1 }, { endpoint: undefined }],
  ])('may name %s', (_whom, params, site) => expect(assertAnswer(params, site)).not.toThrow());

  it.each([
    ['another host', { remote_host: '10.0.0.9', remote_port: 5600 }, plain],
    ['another port than its KV address', { remote_host: '10.0.1.2', remote_port: 8999 }, pinned],
    ['its own HTTP server, when it has a KV address', { remote_host: 'p', remote_port: 8000 }, pinned],
    ['another port of a peer', { remote_host: '10.0.0.7', remote_port: 22 }, plain],
    ['the metadata service', { remote_host: '169.254.169.254', remote_port: 80 }, plain],
    ['another host in a list', { remote_host: ['10.0.1.1', '10.0.0.9'], remote_port: 1 }, plain],
    ['another host in its state', { encoded_opaque_state: Buffer.from('10.0.0.9:80').toString('base64') }, plain],
  ])('may not name %s', (_whom, params, site) => {
    expect(assertAnswer(params, site)).toThrow(REFUSED);
    expect(assertAnswer(params, site)).toThrow(expect.objectContaining({ status: 502, type: 'server_error' }));
  });

  it('may name the addresses that the name of its endpoint was found at', () => {
    const client = new RemoteClient();
    jest.spyOn(client, 'addressesOf').mockImplementation((host) => (host === 'p0.svc' ? ['10.2.0.4', 'fd00::4'] : []));
    const named = { endpoint: parseEndpoint('http://p0.svc:8000') };
    const checked = new HandoffAddresses(OPTIONS, client);
    for (const remote_host of ['p0.svc', '10.2.0.4', 'fd00::4']) {
      expect(() => checked.assertAnswer({ remote_host, remote_port: 5600 }, named)).not.toThrow();
    }
    expect(() => checked.assertAnswer({ remote_host: '10.2.0.5', remote_port: 5600 }, named)).toThrow(REFUSED);
  });

  it('of a server beside us may name the addresses of this machine', () => {
    const beside = { endpoint: parseEndpoint('http://localhost:8000') };
    const [mine] = Object.values(networkInterfaces()).flat();
    expect(assertAnswer({ remote_host: mine?.address, remote_port: 5600 }, beside)).not.toThrow();
    expect(assertAnswer({ remote_host: '203.0.113.1', remote_port: 5600 }, beside)).toThrow(REFUSED);
  });

  it('of an endpoint whose name has no strict spelling may name peers only', () => {
    const odd = { endpoint: parseEndpoint('http://vllm_p:8000') };
    expect(assertAnswer({ remote_host: 'vllm_p', remote_port: 1 }, odd)).toThrow(REFUSED);
    expect(assertAnswer({ remote_host: '10.0.0.8', remote_port: 1 }, odd)).not.toThrow();
  });
});

it('names an entry of the list that cannot be read', () => {
  expect(() => new HandoffAddresses({ kvPeers: ['10.0.0.7'] })).toThrow(
    'Address "10.0.0.7" must be host:port or host:*.',
  );
});
