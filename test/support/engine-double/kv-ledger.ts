import { randomUUID } from 'node:crypto';

/** What became of the handoffs of a double. */
export interface HandoffCounts {
  /** Held now: neither taken nor released. */
  readonly open: number;
  /** A decode leg came for it. */
  readonly taken: number;
  /** Freed by `DELETE`. */
  readonly released: number;
  /** Decode legs that named a handoff which is not (or no longer) held. */
  readonly unknown: number;
}

/** The handoffs that the double's prefills left behind. Holds no bytes: a decode leg proves itself by the id. */
export class KvLedger {
  readonly #engineId = randomUUID();
  readonly #open = new Set<string>();
  #taken = 0;
  #released = 0;
  #unknown = 0;

  get counts(): HandoffCounts {
    return { open: this.#open.size, taken: this.#taken, released: this.#released, unknown: this.#unknown };
  }

  /** Leaves a handoff behind; the answer's `kv_transfer_params`. `port` is that of the double itself. */
  leave(port: number, promptTokens: number): Record<string, unknown> {
    const id = randomUUID();
    this.#open.add(id);
    return {
      kv_connector: 'embedded',
      do_remote_prefill: true,
      do_remote_decode: false,
      remote_engine_id: this.#engineId,
      remote_request_id: id,
      remote_host: '127.0.0.1',
      remote_port: port,
      remote_num_tokens: promptTokens,
      remote_blocks_expiry_time: Date.now() / 1000 + 30,
      kv_bytes: promptTokens * 1024,
      kv_sha256: '0'.repeat(64),
      kv_fingerprint: '0'.repeat(64),
    };
  }

  take(id: unknown): void {
    if (this.#open.delete(String(id))) this.#taken += 1;
    else this.#unknown += 1;
  }

  /** False when it is not held. */
  release(id: string): boolean {
    if (!this.#open.delete(id)) return false;
    this.#released += 1;
    return true;
  }
}
