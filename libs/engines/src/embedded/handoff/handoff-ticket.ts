import { InferenceError, invalidRequest, KV_TRANSFER_PARAMS, type JsonObject } from '@baton/inference';
import { BodyFields } from '../request/body-fields.js';

/** Where a KV state lies and what it must be: the `kv_transfer_params` of a decode leg. */
export interface HandoffTicket {
  readonly engineId: string;
  readonly handoffId: string;
  readonly host: string;
  readonly port: number;
  /** Tokens in the state: all of the prompt but the last. */
  readonly tokens: number;
  /**
   * Unix time in milliseconds after which the state may be gone. It is the clock of the engine that keeps the state:
   * this engine's may differ by more than a state is kept, so only the owner's 404 says that it is gone.
   */
  readonly expiresAtMs: number;
  readonly bytes: number;
  readonly sha256: string;
  readonly fingerprint: string;
}

/** The name of the handoff protocol, which marks its params: other protocols have fields of the same names. */
export const EMBEDDED_CONNECTOR = 'embedded';

const ID = /^[A-Za-z0-9-]{1,64}$/;
const HOST = /^(?:[A-Za-z0-9._-]{1,253}|\[?[0-9A-Fa-f:.]{2,45}\]?)$/;
const DIGEST = /^[0-9a-f]{64}$/;

/**
 * Reads the ticket that a prefill leg answered. Names: vLLM's NixlConnector, then ours with the prefix `kv_`.
 *
 * A state that is too large is no bad request: it is refused later, and the prompt evaluated here.
 *
 * @throws InferenceError 400 that names the field, `kv_transfer_params.remote_port`; `connector_mismatch` for the
 * handoff of another protocol.
 */
export function readHandoffTicket(params: JsonObject): HandoffTicket {
  if (params['kv_connector'] !== EMBEDDED_CONNECTOR) throw connectorMismatch();
  const fields = new BodyFields(params, `${KV_TRANSFER_PARAMS}.`);
  const word = (key: string, pattern: RegExp, what: string): string => {
    const value = fields.string(key);
    if (value !== undefined && pattern.test(value)) return value;
    throw invalidRequest(`${fields.path(key)} must be ${what}.`, fields.path(key));
  };
  const number = (key: string, rule: { min: number; max?: number; integer?: boolean }): number => {
    const value = fields.number(key, rule);
    if (value !== undefined) return value;
    throw invalidRequest(`${fields.path(key)} is missing.`, fields.path(key));
  };
  return {
    engineId: word('remote_engine_id', ID, 'an engine id'),
    handoffId: word('remote_request_id', ID, 'a handoff id'),
    host: word('remote_host', HOST, 'a host name or address'),
    port: number('remote_port', { min: 1, max: 65_535, integer: true }),
    tokens: number('remote_num_tokens', { min: 1, integer: true }),
    expiresAtMs: number('remote_blocks_expiry_time', { min: 0 }) * 1000,
    bytes: number('kv_bytes', { min: 1, integer: true }),
    sha256: word('kv_sha256', DIGEST, 'a SHA-256 in hex'),
    fingerprint: word('kv_fingerprint', DIGEST, 'a fingerprint in hex'),
  };
}

/** @throws InferenceError 400 `connector_mismatch` when a prefill leg asks for the handoff of another protocol. */
export function assertOwnConnector(params: JsonObject): void {
  if ((params['kv_connector'] ?? EMBEDDED_CONNECTOR) !== EMBEDDED_CONNECTOR) throw connectorMismatch();
}

function connectorMismatch(): InferenceError {
  const message =
    `This engine takes and gives KV handoffs of the connector "${EMBEDDED_CONNECTOR}" only; ` +
    'this one belongs to another protocol. Configure the same connector for both sides.';
  const param = `${KV_TRANSFER_PARAMS}.kv_connector`;
  return new InferenceError(message, { status: 400, param, code: 'connector_mismatch' });
}

/**
 * The `kv_transfer_params` that a prefill leg answers.
 *
 * @param leaseMs how long the state is kept from now on, in ms: unlike `expiresAtMs` it needs no common clock.
 */
export function toTransferParams(ticket: HandoffTicket, leaseMs: number): JsonObject {
  return {
    kv_connector: EMBEDDED_CONNECTOR,
    do_remote_prefill: true,
    do_remote_decode: false,
    remote_engine_id: ticket.engineId,
    remote_request_id: ticket.handoffId,
    remote_host: ticket.host,
    remote_port: ticket.port,
    remote_num_tokens: ticket.tokens,
    remote_blocks_expiry_time: ticket.expiresAtMs / 1000,
    lease_ms: leaseMs,
    kv_bytes: ticket.bytes,
    kv_sha256: ticket.sha256,
    kv_fingerprint: ticket.fingerprint,
  };
}
