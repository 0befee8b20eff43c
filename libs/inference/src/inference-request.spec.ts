import { describe, expect, it } from '@jest/globals';
import { choiceCount, inferenceRequest, legOf } from './inference-request.js';
import { isLeg, kvTransferParams } from './kv-transfer-params.js';

describe('inferenceRequest', () => {
  it('reads the stream flag and the leg mark', () => {
    const plain = inferenceRequest('chat', { stream: 'yes' });
    expect(plain).toMatchObject({ api: 'chat', stream: false, isLeg: false, headers: {} });
    expect(plain.id).toMatch(/^[0-9a-f-]{36}$/);
    expect(inferenceRequest('chat', { stream: true }, { id: 'a' })).toMatchObject({ id: 'a', stream: true });
    expect(inferenceRequest('chat', {}, { isLeg: true }).isLeg).toBe(true);
    expect(inferenceRequest('chat', { kv_transfer_params: { do_remote_prefill: true } }, { isLeg: false }).isLeg).toBe(
      true,
    );
  });

  it('makes legs with a fresh id that share valve and headers', () => {
    const request = inferenceRequest('completions', { stream: true, seed: 1 }, { headers: { traceparent: 't' } });
    const leg = legOf(request, { seed: 1 });
    expect(leg.id).not.toBe(request.id);
    expect(leg).toMatchObject({ api: 'completions', stream: false, isLeg: true, headers: { traceparent: 't' } });
    expect(leg.valve).toBe(request.valve);
    expect(request.isLeg).toBe(false);
  });

  it.each([
    ['completions', {}, 1],
    ['chat', { n: 3 }, 3],
    ['chat', { n: null }, 1],
    ['generate', { n: 3 }, 1],
    ['generate', { sampling_params: { n: 2 } }, 2],
    ['generate', { sampling_params: null }, 1],
    ['completions', { prompt: ['a', 'b'], n: 2 }, 4],
    ['completions', { prompt: [[1, 2], [3]] }, 2],
    ['completions', { prompt: [1, 2, 3] }, 1],
    ['completions', { prompt: [] }, 1],
  ] as const)('counts the choices of %s %j: %d', (api, body, count) => {
    expect(choiceCount(inferenceRequest(api, body))).toBe(count);
  });
});

describe('kvTransferParams', () => {
  const params = { do_remote_decode: true };

  it.each([
    ['at the top', { kv_transfer_params: params }],
    ['nested', { sampling_params: { extra_args: { kv_transfer_params: params } } }],
    [
      'at the top before nested',
      { kv_transfer_params: params, sampling_params: { extra_args: { kv_transfer_params: {} } } },
    ],
    [
      'nested behind an empty one',
      { kv_transfer_params: {}, sampling_params: { extra_args: { kv_transfer_params: params } } },
    ],
  ])('are found %s', (_where, body) => {
    expect(kvTransferParams(body)).toEqual(params);
    expect(isLeg(body)).toBe(true);
  });

  it.each([
    {},
    { kv_transfer_params: null },
    { kv_transfer_params: 'x' },
    { kv_transfer_params: [] },
    { sampling_params: null },
    { sampling_params: { extra_args: [] } },
    { sampling_params: { extra_args: { kv_transfer_params: null } } },
  ])('are not found in %j', (body) => {
    expect(kvTransferParams(body)).toBeUndefined();
    expect(isLeg(body)).toBe(false);
  });

  it.each([
    [{ do_remote_decode: true, do_remote_prefill: false }, true],
    [{ do_remote_decode: false, do_remote_prefill: true }, true],
    [{ do_remote_decode: false, do_remote_prefill: false }, false],
    [{ do_remote_decode: 'true' }, false],
    [{ do_remote_prefill: 1 }, false],
    [{ remote_host: 'h' }, false],
  ])('%j make a leg: %s', (kv_transfer_params, is) => {
    expect(isLeg({ kv_transfer_params })).toBe(is);
  });
});

it('a leg is told by a mark in either place, whatever is in the other', () => {
  const nested = { extra_args: { kv_transfer_params: { do_remote_prefill: true } } };
  expect(isLeg({ kv_transfer_params: { remote_host: 'h' }, sampling_params: nested })).toBe(true);
  expect(isLeg({ kv_transfer_params: { do_remote_prefill: 1 }, sampling_params: nested })).toBe(true);
});
