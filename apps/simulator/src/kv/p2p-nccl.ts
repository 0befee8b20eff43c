import { kvLoadFailed } from '../engine/engine-error.js';
import { within } from '../engine/pause.js';
import type { Running } from '../engine/running.js';
import { stringOf, type JsonObject } from '../json.js';
import type { KvContent } from '../ledger/kv-content.js';
import type { KvLeg, KvRequest, KvTransfer } from './kv-transfer.js';
import { Received } from './received.js';
import { callSide, SideChannel } from './side-channel.js';
import type { TransferContext } from './transfer-context.js';
import { blocksFromWire, blocksToWire } from './wire-blocks.js';

const REQUEST_ID = /___prefill_addr_(?<prefill>.+?:\d+)___decode_addr_(?<decode>.+?:\d+)_(?<key>.+)$/;

/**
 * vLLM's P2pNcclConnector: both addresses are in the request id, and both legs carry the same one. The prefill
 * pushes to the decode's port as it computes; the decode waits for what has this id.
 */
export class P2pNcclTransfer implements KvTransfer {
  readonly name = 'p2p-nccl';
  readonly counts: Record<string, number> = { sent: 0, failedTransfers: 0 };
  readonly #received: Received;
  readonly #channel: SideChannel;
  #port = 0;

  constructor(readonly context: TransferContext) {
    this.#received = new Received(context.ledger, 'p2p', context.timeoutMs);
    this.#channel = new SideChannel({
      'POST /put': (body) => ({ taken: this.#received.put(stringOf(body['key']) ?? '', blocksFromWire(body)) }),
    });
  }

  get addresses(): JsonObject {
    return { zmqPort: this.#port, zmqAddress: `${this.context.advertisedHost}:${this.#port}` };
  }

  async start(): Promise<void> {
    this.#port = await this.#channel.listen(this.context.zmqPort, this.context.host);
  }

  close(): Promise<void> {
    return this.#channel.close();
  }

  legFor({ headers }: KvRequest): KvLeg | undefined {
    const requestId = headers['x-request-id'];
    const named = typeof requestId === 'string' ? REQUEST_ID.exec(requestId)?.groups : undefined;
    const { prefill, decode, key } = named ?? {};
    if (prefill === undefined || decode === undefined || key === undefined) return undefined;
    const isPrefill =
      this.context.role === 'both' ? prefill.endsWith(`:${this.#port}`) : this.context.role === 'prefill';
    return isPrefill
      ? { leg: 'prefill', afterPrefill: (run) => this.#send(run, decode, key) }
      : { leg: 'decode', load: async (run) => ({ content: await this.#take(run, key) }) };
  }

  async #send(run: Running, to: string, key: string): Promise<void> {
    const { ledger } = this.context;
    const { blocks } = ledger.find(run.legId) ?? { blocks: [] };
    const contents = ledger.blockContents(blocks.slice(0, ledger.blocksFor(run.promptTokens)));
    try {
      await callSide(`http://${to}/put`, { key, ...blocksToWire(contents) }, run.signal);
      this.counts['sent'] = (this.counts['sent'] ?? 0) + 1;
    } catch (error) {
      run.signal.throwIfAborted();
      this.#failed(error);
    }
  }

  async #take(run: Running, key: string): Promise<KvContent> {
    try {
      return await within(this.context.timeoutMs, run.signal, (signal) => this.#received.arrival(key, signal));
    } catch (error) {
      run.signal.throwIfAborted();
      this.#failed(error);
      throw kvLoadFailed();
    }
  }

  #failed(error: unknown): void {
    this.counts['failedTransfers'] = (this.counts['failedTransfers'] ?? 0) + 1;
    this.context.log('kv transfer failed', { error: String(error) });
  }
}
