import type { Fault, Leg } from '../faults/fault.js';
import type { JsonObject } from '../json.js';
import type { Exchange } from './exchange.js';
import type { RequestRecord } from './request-record.js';

const RECORDS_KEPT = 20_000;
const BODY_KEPT_MOST = 1024 * 1024;

/** The inference requests that the simulator was sent, oldest first. */
export class Journal {
  #records: RequestRecord[] = [];
  #seq = 0;

  get records(): readonly RequestRecord[] {
    return this.#records;
  }

  clear(): void {
    this.#records = [];
  }

  record(
    exchange: Exchange,
    body: JsonObject,
    what: { readonly api: string; readonly leg: Leg; readonly faults: readonly Fault[] },
  ): RequestRecord {
    const bytes = Number(exchange.header('content-length') ?? 0);
    const atMs = Date.now();
    const record: RequestRecord = {
      seq: this.#seq++,
      atMs,
      method: exchange.method,
      path: exchange.path,
      headers: exchange.headers,
      body: bytes > BODY_KEPT_MOST ? { omittedBytes: bytes } : body,
      ...what,
      legIds: [],
      phase: 'received',
      enteredAtMs: { received: atMs },
      outcome: 'open',
      status: 0,
      promptTokens: 0,
      cachedTokens: 0,
      tokens: 0,
      finishReasons: [],
      rank: 0,
    };
    this.#records.push(record);
    if (this.#records.length > RECORDS_KEPT) this.#records.shift();
    return record;
  }
}
