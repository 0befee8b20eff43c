import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { clientBody, handoffPart } from './client-body.js';
import { isJsonObject } from './json.js';
import { RawJson } from './raw-json.js';

describe('clientBody', () => {
  it.each([
    'kv_transfer_params',
    'ec_transfer_params',
    'disaggregated_params',
    'bootstrap_host',
    'bootstrap_port',
    'bootstrap_room',
    'bootstrap_pair_key',
  ])('has no %s, whatever its value', (field) => {
    for (const value of [{ do_remote_prefill: 1 }, 'x', 0, null, []]) {
      const body = { prompt: 'a', [field]: value, odd: 1 };
      expect(clientBody(body)).toEqual({ prompt: 'a', odd: 1 });
      expect(Object.keys(body)).toContain(field);
    }
  });

  it.each(['kv_transfer_params', 'ec_transfer_params'])('has no nested %s', (field) => {
    const body = {
      token_ids: [1],
      kv_transfer_params: {},
      sampling_params: { max_tokens: 2, extra_args: { [field]: {}, own: 1 } },
    };
    expect(clientBody(body)).toEqual({ token_ids: [1], sampling_params: { max_tokens: 2, extra_args: { own: 1 } } });
    expect(body.sampling_params.extra_args).toHaveProperty(field);
  });

  it.each([
    {},
    { prompt: 'a', sampling_params: null },
    { token_ids: [1], sampling_params: { extra_args: null } },
    { token_ids: [1], sampling_params: { extra_args: { own: 1, top_k: 1 } } },
  ])('is the same object when nothing is there: %j', (body) => {
    expect(clientBody(body)).toBe(body);
  });

  it('shares what is large', () => {
    const ids = new RawJson(Buffer.from('[1,2]'), 2);
    expect(clientBody({ token_ids: ids, bootstrap_host: 'h' })['token_ids']).toBe(ids);
  });

  it.each([
    ...['data_parallel_rank', 'routed_dp_rank', 'disagg_prefill_dp_rank', 'dp_rank', 'decode_tp_size', 'rid'],
    ...['disagg_request_id', 'conversation_params', 'remote_host', 'remote_bootstrap_addr', 'receiver_host', 'id_slot'],
    ...['lmcache.pd_handoff_id', 'ret_first_tok', 'do_remote_prefill', 'kvTransferParams', 'KV-Transfer-Params'],
    ...['transfer_id', 'ctx_info_endpoint', 'encoded_opaque_state', 'disagg_spec', 'prefill_worker_id'],
  ])('has no %s, at the top or in anything that an engine copies into its own parameters', (field) => {
    const forged = { [field]: 'x', own: 1 };
    const holders = ['sampling_params', 'extra_args', 'vllm_xargs', 'extra_body', 'nvext', 'samplingParams'];
    const body = {
      ...{ prompt: 'a', ...forged },
      ...Object.fromEntries(holders.map((holder) => [holder, { ...forged, extra_args: [forged, forged] }])),
    };
    expect(clientBody(body)).toEqual({
      ...{ prompt: 'a', own: 1 },
      ...Object.fromEntries(holders.map((holder) => [holder, { own: 1, extra_args: [{ own: 1 }, { own: 1 }] }])),
    });
  });

  it('leaves what people write as it is', () => {
    const said = { kv_transfer_params: { remote_host: 'h' }, bootstrap_host: 'h' };
    const body = {
      messages: [{ role: 'user', content: [{ type: 'text', text: 'bootstrap_host', ...said }] }],
      tools: [{ function: { parameters: said } }],
      metadata: said,
      request_id: 'own-7.3:a',
      user: 'remote_host',
      repetition_penalty: 1,
    };
    expect(clientBody(body)).toBe(body);
  });

  it.each([
    '___prefill_addr_10.0.0.7:21001___decode_addr_10.0.0.9:22001_0a',
    'host:10.0.0.1,handshake:1',
    '',
    'a b',
    'é',
  ])('has no id that says more than an id does: %s', (id) =>
    expect(clientBody({ prompt: 'a', request_id: id })).toEqual({ prompt: 'a' }),
  );

  it('finds such a field wherever an engine would, whatever surrounds it', () => {
    const field = fc.constantFrom('kv_transfer_params', 'kvTransferParams', 'bootstrap_room', 'remote_host', 'rid');
    const path = fc.array(fc.constantFrom('sampling_params', 'extra_args', 'vllm_xargs', 'extra_body'), {
      maxLength: 5,
    });
    fc.assert(
      fc.property(
        field,
        path,
        fc.jsonValue(),
        fc.dictionary(fc.string(), fc.jsonValue()),
        (name, holders, value, beside) => {
          const inner: Record<string, unknown> = { ...beside, [name]: value };
          const body = holders.reduceRight<Record<string, unknown>>((held, holder) => ({ [holder]: held }), inner);
          const clean = holders.reduce<unknown>((held, holder) => isJsonObject(held) && held[holder], clientBody(body));
          expect(isJsonObject(clean) && !Object.hasOwn(clean, name)).toBe(true);
          expect(handoffPart(body)).toEqual([expect.objectContaining({ [name]: value })]);
        },
      ),
    );
  });
});

describe('handoffPart', () => {
  it('is what the body of a client lacks: fields that stand together, together', () => {
    const body = {
      ...{ prompt: 'a', bootstrap_host: 'h', bootstrap_port: 1, own: 1 },
      sampling_params: { extra_args: { kv_transfer_params: { remote_host: 'i' }, own: 1 } },
    };
    expect(handoffPart(body)).toEqual([
      { bootstrap_host: 'h', bootstrap_port: 1 },
      { kv_transfer_params: { remote_host: 'i' } },
    ]);
    expect(handoffPart(clientBody(body))).toEqual([]);
  });
});
