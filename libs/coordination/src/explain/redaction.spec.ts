import { RawJson } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import { RecordBudget, redacted } from './redaction.js';

const SECRET = 'the patient said that';
const show = (body: Record<string, unknown>, budget = new RecordBudget(16_384)) => redacted(body, budget);

describe('what is kept of a body', () => {
  it('is how the request was edited', () => {
    const body = {
      ...{ model: 'org/model-7B', max_tokens: 1, stream: false, n: 1, temperature: 0.5, echo: null },
      ...{ bootstrap_host: '10.0.0.7', bootstrap_port: 8998 },
      stream_options: { include_usage: true },
    };
    expect(show(body)).toEqual(body);
  });

  it('is what names a handoff, with ids that are long', () => {
    const params = {
      ...{ do_remote_prefill: true, remote_host: '[fe80::1]', remote_port: 5557, remote_block_ids: [[1, 2], [3]] },
      ...{ request_id: `___prefill_addr_10.0.0.1:1___decode_addr_10.0.0.2:2_${'0'.repeat(32)}`, room: null },
    };
    expect(show({ kv_transfer_params: params })).toEqual({ kv_transfer_params: params });
    const sampling = { extra_args: { kv_transfer_params: params } };
    expect(show({ sampling_params: sampling })).toEqual({ sampling_params: sampling });
  });

  it('is every digit of an integer beyond 2^53, as text', () => {
    expect(show({ bootstrap_room: 9_223_372_036_854_775_807n })).toEqual({ bootstrap_room: '9223372036854775807' });
  });
});

describe('what users and applications have written is replaced by its size', () => {
  it.each<[string, unknown, unknown]>([
    ['prompt', 'x'.repeat(1_234), '[redacted: 1,234 bytes]'],
    ['prompt', 'ä', '[redacted: 2 bytes]'],
    ['prompt', 'x', '[redacted: 1 byte]'],
    ['prompt', [1, 2, 3], '[redacted: 3 tokens]'],
    ['prompt', ['a', 'b'], '[redacted: 2 items]'],
    ['prompt', new RawJson(Buffer.from('[1,2]'), 1_000_000), '[redacted: 1,000,000 tokens]'],
    ['token_ids', Array.from({ length: 57 }, (_, id) => id), '[redacted: 57 tokens]'],
    ['messages', [{ role: 'user', content: SECRET }], '[redacted: 1 message]'],
    ['tools', [{ function: { name: 'cure', arguments: SECRET } }], '[redacted: 1 tool]'],
    ['suffix', SECRET, '[redacted: 21 bytes]'],
    ['image_url', { url: 'https://example.org/me.png' }, '[redacted: an object]'],
    ['user', 'alice', '[redacted: 5 bytes]'],
    ['unknown_field', SECRET, '[redacted: 21 bytes]'],
    ['unknown_field', 'hunter2', '[redacted: 7 bytes]'],
    ['model', SECRET, '[redacted: 21 bytes]'],
    ['unknown_field', 'x'.repeat(65), '[redacted: 65 bytes]'],
    ['unknown_list', Array.from({ length: 17 }, () => 1), '[redacted: 17 items]'],
    ['unknown_list', [SECRET, 2], '[redacted: 2 items]'],
    ['kv_transfer_params', { list: [SECRET, 2] }, { list: ['[redacted: 21 bytes]', 2] }],
    ['unknown_object', { text: 'short', n: 2 }, { text: '[redacted: 5 bytes]', n: 2 }],
    ['kv_transfer_params', { note: SECRET }, { note: '[redacted: 21 bytes]' }],
    ['kv_transfer_params', { opaque: 'x'.repeat(257) }, { opaque: '[redacted: 257 bytes]' }],
    ['disaggregated_params', { first_gen_tokens: [42] }, { first_gen_tokens: '[redacted: 1 token]' }],
    ['kv_transfer_params', { first_token: 42 }, { first_token: '[redacted: 1 token]' }],
  ])('%s', (field, value, expected) => {
    expect(show({ [field]: value })).toEqual({ [field]: expected });
  });
});

describe('a record is bounded', () => {
  it('in fields, and fields whose names are texts are left out', () => {
    const budget = new RecordBudget(16_384);
    const many = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`f${index}`, index]));
    expect(Object.keys(show(many, budget))).toHaveLength(64);
    expect(show({ [SECRET]: 1, ['x'.repeat(65)]: 1, ok: 1 }, budget)).toEqual({ ok: 1 });
    expect(budget.omitted).toBe(3);
  });

  it('in depth', () => {
    const deep = { a: { b: { c: { d: { e: { f: 1 } } } } } };
    expect(show(deep)).toEqual({ a: { b: { c: { d: { e: '[redacted: an object]' } } } } });
  });

  it('in characters, of all its bodies', () => {
    const budget = new RecordBudget(200);
    const body = Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`f${index}`, 'x'.repeat(60)]));
    const size = JSON.stringify([show(body, budget), show(body, budget)]).length;
    expect(size).toBeLessThan(400);
    expect(budget.omitted).toBeGreaterThan(100);
  });
});

it('shares nothing with the body', () => {
  const params = { remote_block_ids: [[1]] };
  const body = { kv_transfer_params: params };
  const shown = show(body);
  params.remote_block_ids[0]!.push(2);
  expect(shown).toEqual({ kv_transfer_params: { remote_block_ids: [[1]] } });
});
