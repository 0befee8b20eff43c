import { badRequest } from '../engine/engine-error.js';
import { numberOf, stringOf, type JsonObject } from '../json.js';
import type { KvLeg, KvRequest, KvTransfer } from './kv-transfer.js';
import { SglangDecode } from './sglang-decode.js';
import { SglangPrefill } from './sglang-prefill.js';
import { schedulerCrash, SglangRooms } from './sglang-rooms.js';
import { SideChannel } from './side-channel.js';
import type { TransferContext } from './transfer-context.js';

/** `--disaggregation-bootstrap-port` of a prefill server that a request does not name. */
const BOOTSTRAP_PORT = 8998;
const MOST = 2n ** 63n - 1n;

/**
 * SGLang's disaggregation: prefill and decode meet in a room that somebody else made up. The decode comes to the
 * bootstrap server of the prefill; the prefill begins when it has come, and answers when its KV was taken. Neither
 * tells the other when it fails: the other one waits until its timeout. A server that is neither (`role: both`)
 * ignores all of it.
 */
export class SglangRendezvous implements KvTransfer {
  readonly name = 'sglang';
  readonly counts: Record<string, number> = {
    joined: 0,
    handed: 0,
    taken: 0,
    duplicate_room: 0,
    bootstrapTimeouts: 0,
    waitingTimeouts: 0,
    failedTransfers: 0,
    leaked: 0,
  };
  readonly #rooms: SglangRooms;
  readonly #decodes = new Map<string, SglangDecode>();
  readonly #channel: SideChannel;
  #port = 0;

  constructor(readonly context: TransferContext) {
    this.#rooms = new SglangRooms(this.counts);
    this.#channel = new SideChannel({
      'POST /join': (body, signal) => this.#rooms.join(stringOf(body['room']) ?? '', signal),
      'POST /taken': (body) => this.#rooms.taken(stringOf(body['room']) ?? ''),
    });
  }

  get addresses(): JsonObject {
    return { bootstrapPort: this.#port, bootstrapHost: this.context.advertisedHost };
  }

  async start(): Promise<void> {
    if (this.context.role === 'prefill')
      this.#port = await this.#channel.listen(this.context.bootstrapPort, this.context.host);
  }

  async close(): Promise<void> {
    if (this.context.role === 'prefill') await this.#channel.close();
  }

  /** @throws EngineError 400 when a request to one side of a pair does not say where the sides meet. */
  legFor({ body }: KvRequest): KvLeg | undefined {
    const { role } = this.context;
    if (role === 'both') return undefined;
    const room = roomOf(body['bootstrap_room']);
    const host = stringOf(body['bootstrap_host']);
    if (host === undefined)
      throw badRequest('Disaggregated request received without bootstrap host.', 'bootstrap_host');
    if (role === 'prefill') return new SglangPrefill(room, this.#rooms, this.context, this.counts);
    const port = numberOf(body['bootstrap_port']) ?? BOOTSTRAP_PORT;
    return this.#decode(room, `http://${host.includes(':') ? `[${host}]` : host}:${port}`);
  }

  /** Two requests in one room take the scheduler down, and with it both of them. */
  #decode(room: string, url: string): KvLeg {
    const other = this.#decodes.get(room);
    if (other !== undefined) {
      this.counts['duplicate_room'] = (this.counts['duplicate_room'] ?? 0) + 1;
      other.crash();
      throw schedulerCrash(room);
    }
    const leg = new SglangDecode(room, url, this.context, this.counts, () => this.#decodes.delete(room));
    this.#decodes.set(room, leg);
    return leg;
  }
}

/** The digits of a room, as they came: it may have 63 bits. */
function roomOf(value: unknown): string {
  if (value === undefined || value === null)
    throw badRequest('Invalid request: Disaggregated request received without boostrap room id.', 'bootstrap_room');
  const digits = typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value)) ? `${value}` : '';
  if (!/^\d+$/.test(digits) || BigInt(digits) > MOST)
    throw badRequest('bootstrap_room must be an integer in [0, 2^63 - 1].', 'bootstrap_room');
  return digits;
}
