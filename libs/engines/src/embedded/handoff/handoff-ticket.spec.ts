import { describe, expect, it } from '@jest/globals';
import { assertOwnConnector, readHandoffTicket, toTransferParams, type HandoffTicket } from './handoff-ticket.js';

const ticket: HandoffTicket = {
  engineId: '634e466d-6ca4-4d95-8fe1-553a73f6d53f',
  handoffId: '1f39876f-5d25-43df-bdd5-ea2c3dfab254',
  host: '127.0.0.1',
  port: 5600,
  tokens: 14,
  expiresAtMs: 1_795_363_711_748,
  bytes: 43_384,
  sha256: 'a'.repeat(64),
  fingerprint: 'b'.repeat(64),
};

describe('handoff ticket', () => {
  it('is read as it was written', () => {
    expect(readHandoffTicket(toTransferParams(ticket, 30_000))).toEqual(ticket);
  });

  it('has vLLM’s names', () => {
    expect(toTransferParams(ticket, 30_000)).toMatchObject({
      do_remote_prefill: true,
      do_remote_decode: false,
      remote_port: 5600,
      lease_ms: 30_000,
    });
  });

  it.each([undefined, null, 'nixl'])('refuses params of another protocol (kv_connector %j)', (kv_connector) => {
    expect(() => readHandoffTicket({ ...toTransferParams(ticket, 30_000), kv_connector })).toThrow(
      expect.objectContaining({ status: 400, code: 'connector_mismatch', param: 'kv_transfer_params.kv_connector' }),
    );
  });

  it('lets a prefill leg name its protocol, or none', () => {
    expect(() => assertOwnConnector({ do_remote_decode: true })).not.toThrow();
    expect(() => assertOwnConnector({ do_remote_decode: true, kv_connector: 'embedded' })).not.toThrow();
    expect(() => assertOwnConnector({ do_remote_decode: true, kv_connector: 'nixl' })).toThrow(
      expect.objectContaining({ code: 'connector_mismatch' }),
    );
  });

  it.each([
    ['remote_engine_id', null],
    ['remote_request_id', '../../etc/passwd'],
    ['remote_host', 'a host'],
    ['remote_host', 'evil.example/x?'],
    ['remote_port', 0],
    ['remote_port', 65_536],
    ['remote_num_tokens', 1.5],
    ['remote_blocks_expiry_time', 'soon'],
    ['kv_bytes', -1],
    ['kv_sha256', 'abc'],
    ['kv_fingerprint', 7],
  ])('refuses %s = %j', (field, value) => {
    expect(() => readHandoffTicket({ ...toTransferParams(ticket, 30_000), [field]: value })).toThrow(
      expect.objectContaining({ status: 400, param: `kv_transfer_params.${field}` }),
    );
  });
});
