import type { Canary } from './canaries.js';

const parts = (host: string): number[] => host.split('.').map(Number);
const number = (host: string): number => parts(host).reduce((sum, part) => sum * 256 + part, 0);
const circled = (host: string): string =>
  host.replaceAll(/[1-9]/g, (digit) => '①②③④⑤⑥⑦⑧⑨'[Number(digit) - 1] ?? '').replaceAll('0', '⓪');

/** How people write an address that a filter does not know again. Source: the vectors of SSRF reports of the field. */
export function hostVectors(canary: Canary, allowed: string): readonly unknown[] {
  const { host } = canary;
  if (host.includes(':'))
    return [host, `[${host}]`, '0:0:0:0:0:0:0:1', '[0000::1]', '::1%lo', `${allowed}@[${host}]`, [host]];
  const [a = 0, b = 0, c = 0, d = 0] = parts(host);
  const hex = (value: number, width = 2): string => value.toString(16).padStart(width, '0');
  return [
    ...[
      host,
      [host],
      [[host]],
      [allowed, host],
      { host },
      `${host}.`,
      ` ${host}`,
      `${host} `,
      `${host}\t`,
      `\n${host}`,
    ],
    ...[
      String(number(host)),
      number(host),
      `0x${hex(number(host), 8)}`,
      `0x${hex(a)}.0x${hex(b)}.0x${hex(c)}.0x${hex(d)}`,
    ],
    ...[`0${a.toString(8)}.0${b.toString(8)}.0${c.toString(8)}.0${d.toString(8)}`, `0${number(host).toString(8)}`],
    ...[`${a}.${b * 65_536 + c * 256 + d}`, `${a}.${b}.${c * 256 + d}`, `0x${hex(a)}.${d}`, circled(host)],
    ...[host.replaceAll('.', '。'), host.replaceAll('.', '．'), host.replaceAll('1', '１')],
    ...[
      `::ffff:${host}`,
      `[::ffff:${host}]`,
      `::ffff:${hex(a * 256 + b, 4)}:${hex(c * 256 + d, 4)}`,
      `64:ff9b::${host}`,
    ],
    ...[
      `${allowed}\\@${host}`,
      `${allowed}@${host}`,
      `user:pass@${host}`,
      `${host}#@${allowed}`,
      `${host}?@${allowed}`,
    ],
    ...[
      `${host}/`,
      `${host}/x`,
      `//${host}`,
      `http://${host}`,
      `https:${host}`,
      `${allowed},${host}`,
      `${allowed} ${host}`,
    ],
    ...[
      `${allowed}\r\nhost: ${host}`,
      `${allowed}\0${host}`,
      `${host}%00.${allowed}`,
      encodeURIComponent(host),
      '%31%32%37%2e0%2e0%2e1',
    ],
    ...['localhost', 'LOCALHOST.', 'localtest.me', '0', '0.0.0.0', '[::]', '::', '127.1', 'ip6-localhost', ''],
  ];
}

export function portVectors(port: number): readonly unknown[] {
  return [
    ...[
      port,
      String(port),
      [port],
      [[port]],
      `${port} `,
      ` ${port}`,
      `0${port}`,
      `+${port}`,
      `${port}/x`,
      `${port}@`,
      port + 65_536,
    ],
    ...[
      port + 0.5,
      `${port}.0`,
      `0x${port.toString(16)}`,
      0,
      65_536,
      -1,
      '1e3',
      1e21,
      null,
      true,
      { port },
      '',
      `${port}\r\n`,
    ],
  ];
}

/** What every protocol calls its handoff, naming `host` and `port`. */
export function handoffs(host: unknown, port: unknown): readonly Record<string, unknown>[] {
  const nixl = {
    do_remote_prefill: true,
    remote_engine_id: 'e',
    remote_request_id: 'r',
    remote_block_ids: [[1]],
    tp_size: 1,
  };
  const text = `${String(host)}:${String(port)}`;
  const pull = { ...nixl, remote_host: host, remote_port: port };
  const trt = { request_type: 'generation_only', ctx_request_id: 7, first_gen_tokens: [1] };
  const opaque = Buffer.from(JSON.stringify({ url: `http://${text}` })).toString('base64');
  return [
    { kv_transfer_params: pull },
    { kv_transfer_params: { ...pull, do_remote_decode: true, do_remote_prefill: false } },
    { kv_transfer_params: { ...pull, do_remote_prefill: 1 } },
    {
      kv_transfer_params: {
        do_remote_prefill: true,
        remote_bootstrap_addr: `http://${text}`,
        remote_engine_id: 'e',
        transfer_id: 't',
      },
    },
    { kv_transfer_params: { remote_prefiller: { kv_request_id: 'k', remote_host: host, remote_port: port } } },
    { kv_transfer_params: { remote_kv_source: { kv_request_id: 'k', remote_host: host, remote_port: port } } },
    {
      kv_transfer_params: {
        ret_first_tok: true,
        disagg_spec: { req_id: 'r', receiver_host: host, receiver_init_port: [port], receiver_alloc_port: [port] },
      },
    },
    { kv_transfer_params: { ...pull, remote_handshake_port: port, remote_notify_port: port, remote_hosts: [host] } },
    {
      kv_transfer_params: {
        ...pull,
        kv_connector: 'embedded',
        remote_num_tokens: 1,
        remote_blocks_expiry_time: 9e9,
        kv_bytes: 9,
        kv_sha256: '0'.repeat(64),
        kv_fingerprint: '0'.repeat(64),
      },
    },
    {
      ec_transfer_params: { ab: { peer_host: host, peer_port: port, size_bytes: 1, nixl_agent_metadata_b64: 'AA==' } },
    },
    { bootstrap_host: host, bootstrap_port: port, bootstrap_room: 7 },
    { bootstrap_host: [host], bootstrap_port: [port], bootstrap_room: [7] },
    { disaggregated_params: { ...trt, ctx_info_endpoint: text, encoded_opaque_state: opaque } },
    { disaggregated_params: { ...trt, ctx_info_endpoint: [text], encoded_opaque_state: opaque, ctx_dp_rank: 0 } },
    { remote_host: host, remote_port: port, do_remote_prefill: true },
    { request_id: `___prefill_addr_${text}___decode_addr_${text}_${'0'.repeat(32)}` },
    { kvTransferParams: pull, 'KV-Transfer-Params': pull, KV_TRANSFER_PARAMS: pull },
    { data_parallel_rank: 1, routed_dp_rank: 1, disagg_request_id: 1, rid: `x_addr_${text}`, kv_transfer_params: pull },
  ];
}

/** Where in a body a client may put a field. */
export const PLACES: readonly ((handoff: Record<string, unknown>) => Record<string, unknown>)[] = [
  (handoff) => handoff,
  (handoff) => ({ sampling_params: { extra_args: handoff } }),
  (handoff) => ({ sampling_params: { ...handoff, extra_args: { extra_args: handoff } } }),
  (handoff) => ({ vllm_xargs: handoff }),
  (handoff) => ({ extra_body: handoff, extra_args: handoff }),
  (handoff) => ({ ...handoff, sampling_params: { extra_args: handoff }, nvext: handoff }),
];
