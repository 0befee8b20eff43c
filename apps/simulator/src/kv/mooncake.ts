import { randomUUID } from 'node:crypto';
import { EngineError, kvLoadFailed } from '../engine/engine-error.js';
import { untilWoken, within } from '../engine/pause.js';
import type { RunEnd, Running } from '../engine/running.js';
import { stringOf, type JsonObject } from '../json.js';
import { contentOf, type BlockContent } from '../ledger/kv-content.js';
import type { KvLeg, KvRequest, KvTransfer } from './kv-transfer.js';
import { callSide, SideChannel } from './side-channel.js';
import type { TransferContext } from './transfer-context.js';
import { blocksFromWire, blocksToWire } from './wire-blocks.js';

/** What a decode says about the transfer it waits for. */
interface Rendezvous {
  readonly bootstrap: string;
  readonly engineId: string;
  readonly transferId: string;
}

/**
 * vLLM's MooncakeConnector: both sides meet under a transfer id that somebody else made up, in any order. The
 * prefill keeps its blocks only when it ended by its limit, answers without `kv_transfer_params`, and pushes when
 * the decode has come; the decode waits until the timeout for a prefill that never offers anything.
 */
export class MooncakeTransfer implements KvTransfer {
  readonly name = 'mooncake';
  readonly counts: Record<string, number> = { pushed: 0, missingTransferId: 0, failedTransfers: 0 };
  readonly #engineIds: readonly string[];
  readonly #channel: SideChannel;
  /** Prompts whose blocks wait for their decode, by engine and transfer id. */
  readonly #offers = new Map<string, { readonly legId: string; readonly promptTokens: number }>();
  /** Transfers whose decode has left before the prefill had anything. */
  readonly #cancelled = new Set<string>();
  readonly #arrived = new Set<() => void>();
  #port = 0;

  constructor(readonly context: TransferContext) {
    this.#engineIds = Array.from({ length: context.ranks }, () => randomUUID());
    this.#channel = new SideChannel({
      'GET /query': () => this.#query(),
      'POST /pull': (body, signal) => this.#push(keyOf(body), signal),
      'POST /cancel': (body) => this.#cancel(keyOf(body)),
    });
  }

  get addresses(): JsonObject {
    return { bootstrapPort: this.#port, bootstrapHost: this.context.advertisedHost, engineIds: this.#engineIds };
  }

  async start(): Promise<void> {
    this.#port = await this.#channel.listen(this.context.bootstrapPort, this.context.host);
  }

  close(): Promise<void> {
    return this.#channel.close();
  }

  legFor({ params, rank }: KvRequest): KvLeg | undefined {
    if (params?.['do_remote_prefill'] === true) return this.#decode(params);
    if (params?.['do_remote_decode'] !== true) return undefined;
    if (this.context.role === 'decode') throw new EngineError(500, 'Internal server error');
    const transferId = stringOf(params['transfer_id']);
    if (transferId === undefined) this.#note('missingTransferId', 'no transfer_id: nothing will be sent', params);
    return { leg: 'prefill', finished: async (run, end) => this.#offer(run, end, rank, transferId) };
  }

  #decode(params: JsonObject): KvLeg {
    if (this.context.role === 'prefill') throw new EngineError(500, 'Internal server error');
    const [bootstrap, engineId] = [stringOf(params['remote_bootstrap_addr']), stringOf(params['remote_engine_id'])];
    const transferId = stringOf(params['transfer_id']);
    if (bootstrap === undefined || engineId === undefined || transferId === undefined) {
      this.context.log('invalid KVTransferParams', { params });
      return { leg: 'decode' };
    }
    const from = { bootstrap, engineId, transferId };
    return {
      leg: 'decode',
      refused: (by) => void (by === 'client' && this.#leave(from)),
      load: async (run) => ({ content: contentOf(await this.#pull(from, run)) }),
      finished: async (_, end) => {
        if (end === 'abort' || end === 'failed') await this.#leave(from);
        return undefined;
      },
    };
  }

  #query(): JsonObject {
    return Object.fromEntries(this.#engineIds.map((engineId, rank) => [String(rank), { engine_id: engineId }]));
  }

  #offer(run: Running, end: RunEnd, rank: number, transferId: string | undefined): undefined {
    const key = `${this.#engineIds[rank] ?? ''}/${transferId ?? ''}`;
    // A prefill whose first token ended it drops its cache, whoever waits for it.
    if (transferId === undefined || end !== 'length' || this.#cancelled.delete(key)) return;
    run.keep(this.context.timeoutMs, 'transfer_timeout');
    this.#offers.set(key, { legId: run.legId, promptTokens: run.promptTokens });
    for (const wake of [...this.#arrived]) wake();
  }

  /** Answers when the prefill has offered its blocks: this is the push. */
  async #push(key: string, signal: AbortSignal): Promise<JsonObject> {
    const { ledger } = this.context;
    let offer = this.#offers.get(key);
    for (; offer === undefined; offer = this.#offers.get(key)) await this.#nextOffer(signal);
    this.#offers.delete(key);
    const { blocks } = ledger.find(offer.legId) ?? { blocks: [] };
    const contents = ledger.blockContents(blocks.slice(0, ledger.blocksFor(offer.promptTokens)));
    this.counts['pushed'] = (this.counts['pushed'] ?? 0) + 1;
    ledger.free(offer.legId, 'pushed');
    return blocksToWire(contents);
  }

  #nextOffer(signal: AbortSignal): Promise<void> {
    return untilWoken((wake) => {
      this.#arrived.add(wake);
      return () => this.#arrived.delete(wake);
    }, signal);
  }

  #cancel(key: string): JsonObject {
    const offer = this.#offers.get(key);
    this.#offers.delete(key);
    if (offer === undefined) this.#cancelled.add(key);
    return { freed: offer !== undefined && this.context.ledger.free(offer.legId, 'decode_aborted') };
  }

  async #pull({ bootstrap, engineId, transferId }: Rendezvous, run: Running): Promise<(BlockContent | undefined)[]> {
    const body = { engine_id: engineId, transfer_id: transferId };
    try {
      const pull = (signal: AbortSignal): Promise<JsonObject> => callSide(`${bootstrap}/pull`, body, signal);
      return blocksFromWire(await within(this.context.timeoutMs, run.signal, pull));
    } catch (error) {
      run.signal.throwIfAborted();
      this.#note('failedTransfers', 'kv load failed', { error: String(error) });
      throw kvLoadFailed();
    }
  }

  /** The empty receive: the prefill need not wait for this decode. */
  async #leave({ bootstrap, engineId, transferId }: Rendezvous): Promise<void> {
    const body = { engine_id: engineId, transfer_id: transferId };
    await callSide(`${bootstrap}/cancel`, body).catch((error: unknown) =>
      this.context.log('cancel failed', { error: String(error) }),
    );
  }

  #note(count: string, message: string, facts: JsonObject): void {
    this.counts[count] = (this.counts[count] ?? 0) + 1;
    this.context.log(message, facts);
  }
}

const keyOf = (body: JsonObject): string =>
  `${stringOf(body['engine_id']) ?? ''}/${stringOf(body['transfer_id']) ?? ''}`;
