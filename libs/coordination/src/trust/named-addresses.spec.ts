import { describe, expect, it } from '@jest/globals';
import { namedAddresses } from './named-addresses.js';

const H = '10.0.0.7';
const at = (port: number | 'default' | 'unseen', host = H): object => ({ host, port });
const state = (text: string): string => Buffer.from(text, 'latin1').toString('base64');

describe('namedAddresses', () => {
  it.each<[string, object, unknown[]]>([
    [
      'NixlConnector',
      { do_remote_prefill: true, remote_host: H, remote_port: 5600, remote_engine_id: 'e-1' },
      [at(5600)],
    ],
    ['its request for a handoff', { do_remote_decode: true, remote_host: null, remote_port: null }, []],
    [
      'ranks',
      { remote_host: [H, '10.0.0.8'], remote_port: [1, 2] },
      [at(1), at(2), at(1, '10.0.0.8'), at(2, '10.0.0.8')],
    ],
    ['MooncakeConnector', { remote_bootstrap_addr: `http://${H}:8998`, transfer_id: 'x' }, [at(8998)]],
    ['MoRIIO', { remote_host: H, remote_handshake_port: 1, remote_notify_port: '2' }, [at(1), at(2)]],
    ['MoRIIO, by the engine id', { remote_engine_id: `${H}:6301` }, [at(6301)]],
    ['the p2p tier', { remote_prefiller: { kv_request_id: 'k', remote_host: 'p', remote_port: 1 } }, [at(1, 'p')]],
    ['a source of cached KV', { remote_kv_source: { remote_host: H, remote_port: 2 } }, [at(2)]],
    [
      'LMCache',
      { disagg_spec: { receiver_host: H, receiver_init_port: [1, 2], receiver_alloc_port: [3] } },
      [at(1), at(2), at(3)],
    ],
    ['LMCache, by a setting', { 'lmcache.remote_url': `lm://${H}:65432` }, [at(65_432)]],
    ['SGLang', { bootstrap_host: H, bootstrap_port: 1, bootstrap_room: 7 }, [at(1)]],
    ['SGLang, by default', { bootstrap_host: H, bootstrap_room: 7 }, [at(8998)]],
    ['SGLang, of a batch', { bootstrap_host: [H, 'p'], bootstrap_port: [1, null] }, [at(1), at(1, 'p')]],
    ['the encoder cache', { a1b2: { peer_host: H, peer_port: 3, size_bytes: 9 } }, [at(3)]],
    ['the encoder cache, as a list', { ec_items: [{ mm_hash: 'a', peer_host: H, peer_port: 3 }] }, [at(3)]],
    ['TensorRT-LLM', { ctx_info_endpoint: [`${H}:1`, `http://${H}:2/`], ctx_request_id: 1n }, [at(1), at(2)]],
    [
      'its opaque state',
      { encoded_opaque_state: state(`\0\u0008${H}\0\u0015\xb3 tcp 10.0.0.8:81`) },
      [at('unseen'), at(81, '10.0.0.8')],
    ],
    ['P2pNccl', { request_id: `___prefill_addr_${H}:1___decode_addr_[::1]:2_0a1b` }, [at(1), at(2, '[::1]')]],
    [
      'a field that nobody knows yet',
      { transport: { side_channel_endpoint: `${H}:4` }, backup: `tcp://${H}:5` },
      [at(4), at(5)],
    ],
    ['an address in such a field', { primary: H, v6: '::1' }, [at('default'), at('default', '[::1]')]],
    ['a host without a port', { remote_host: H }, [at('default')]],
    ['a URL without a port', { remote_url: `https://${H}` }, [at(443)]],
    ['names in other spellings', { remoteHost: H, remotePort: 1 }, [at(1)]],
    [
      'what is no address',
      { transport: 'x', support: 5, chip: 'a b', remote_block_ids: [[1, 2]], tp_size: 1, is: true },
      [],
    ],
  ])('finds those of %s', (_protocol, handoff, found) => {
    expect(namedAddresses({ ...handoff })).toEqual(found);
  });

  const BAD_HOSTS = [
    ...[
      '127.1',
      '2130706433',
      '0x7f.1',
      '0177.0.0.1',
      '①②⑦.⓪.⓪.①',
      'a\\@b',
      'user@10.0.0.7',
      'ho\tst',
      ' 10.0.0.7',
      '',
    ],
    ...['10.0.0.7/', '10.0.0.7#', '[::1', 'fe80::1%eth0', 'a_b', '10.0.0.7:99999', '10.0.0.7:80:80'],
    ...[2_130_706_433, true, 1.5],
  ];
  it.each(BAD_HOSTS)('cannot read the host %j, however it is wrapped', (host) => {
    for (const remote_host of [host, [host], [[host]]]) {
      expect(namedAddresses({ remote_host, remote_port: 80 })).toContain(undefined);
    }
    expect(namedAddresses({ remote_prefiller: { remote_host: host, remote_port: 80 } })).toContain(undefined);
  });

  it.each([0, 65_536, -1, 1.5, '1e3', '80 ', '080', '', '0x50', true, 80n, 9_007_199_254_740_993n])(
    'cannot read the port %p',
    (port) => {
      expect(namedAddresses({ remote_host: H, remote_port: port })).toContain(undefined);
      expect(namedAddresses({ remote_port: [80, port] })).toContain(undefined);
    },
  );

  it.each([
    ...[
      'http://',
      'http://10.0.0.7:80/x',
      'http://10.0.0.7:80?x',
      'http://u@10.0.0.7:80',
      'http://u:p@10.0.0.7',
      'a://b',
    ],
    ...[
      'http://10.0.0.7:80#@h',
      'http://allowed\\@10.0.0.7',
      'http:// 10.0.0.7',
      '//10.0.0.7://',
      'http://127.1:80',
      'tcp://h',
    ],
  ])('cannot read the URL %s', (url) => {
    expect(namedAddresses({ remote_bootstrap_addr: url })).toEqual([undefined]);
    expect(namedAddresses({ anything: url })).toEqual([undefined]);
  });
});
