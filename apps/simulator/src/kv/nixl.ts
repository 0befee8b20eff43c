import { randomUUID } from 'node:crypto';
import { faultOf } from '../http/request-record.js';
import { numberOf, stringOf, type JsonObject } from '../json.js';
import type { KvLeg, KvRequest, KvTransfer } from './kv-transfer.js';
import { misreported } from './misreported.js';
import { NixlDecode, readDescriptor } from './nixl-decode.js';
import { SideChannel } from './side-channel.js';
import { compatOf, type TransferContext } from './transfer-context.js';
import { blocksToWire } from './wire-blocks.js';

/** The version of the handshake; another one's caches are not read. */
const CONNECTOR_VERSION = 12;

/**
 * vLLM's NixlConnector, pull: the prefill keeps its blocks under a lease and says in its answer where they are, the
 * decode reads them and notifies. Nothing but that notice, or the end of the lease, frees them.
 */
export class NixlTransfer implements KvTransfer {
  readonly name = 'nixl';
  readonly #engineIds: readonly string[];
  readonly #channel: SideChannel;
  readonly #counts = {
    reads: 0,
    notifications: 0,
    lateNotifications: 0,
    heartbeats: 0,
    handshakes: 0,
    invalidParams: 0,
    failedTransfers: 0,
  };
  readonly #met = new Set<string>();
  #port = 0;

  constructor(readonly context: TransferContext) {
    this.#engineIds = Array.from({ length: context.ranks }, () => randomUUID());
    this.#channel = new SideChannel({
      'POST /handshake': (body) => this.#handshake(body),
      'POST /read': (body) => this.#read(body),
      'POST /notify': (body) => this.#notify(body),
      'POST /heartbeat': (body) => this.#heartbeat(body),
    });
  }

  get addresses(): JsonObject {
    return { kvPort: this.#port, kvHost: this.context.advertisedHost, engineIds: this.#engineIds };
  }

  get counts(): Record<string, number> {
    return this.#counts;
  }

  async start(): Promise<void> {
    this.#port = await this.#channel.listen(this.context.kvPort, this.context.host);
  }

  close(): Promise<void> {
    return this.#channel.close();
  }

  legFor({ params, rank, tellsRefusals }: KvRequest): KvLeg | undefined {
    if (params?.['do_remote_prefill'] === true) {
      const descriptor = readDescriptor(params);
      if (descriptor !== undefined)
        return new NixlDecode(descriptor, tellsRefusals ?? true, this.context, this.#counts, this.#met);
      // As in the field: a warning in the log, and the prompt is computed here.
      this.#counts.invalidParams += 1;
      this.context.log('invalid KVTransferParams', { params });
      return { leg: 'decode' };
    }
    return params?.['do_remote_decode'] === true ? this.#prefill(rank) : undefined;
  }

  #prefill(rank: number): KvLeg {
    const { context } = this;
    return {
      leg: 'prefill',
      finished: async (run, end) => {
        if (end !== 'length' && end !== 'stop') return undefined;
        if (faultOf(run.job.record, 'null_params') !== undefined) return undefined;
        const blocks = context.ledger.find(run.legId)?.blocks ?? [];
        const inPrompt = blocks.slice(0, context.ledger.blocksFor(run.promptTokens));
        run.keep(context.leaseMs);
        return misreported(run.job.record, {
          do_remote_prefill: true,
          do_remote_decode: false,
          remote_block_ids: [inPrompt],
          remote_engine_id: this.#engineIds[rank],
          remote_request_id: run.legId,
          remote_host: context.advertisedHost,
          remote_port: this.#port,
          tp_size: 1,
          dcp_size: 1,
          pp_size: 1,
          remote_num_tokens: run.promptTokens,
          remote_blocks_expiry_time: (Date.now() + context.leaseMs) / 1_000,
          transfer_mode: 'pull',
        });
      },
    };
  }

  #handshake(body: JsonObject): JsonObject {
    this.#counts.handshakes += 1;
    const engineId = stringOf(body['engine_id']) ?? '';
    return { known: this.#engineIds.includes(engineId), version: CONNECTOR_VERSION, compat: compatOf(this.context) };
  }

  /** Remote memory is read without a question: whatever is in these blocks now. */
  #read(body: JsonObject): JsonObject {
    this.#counts.reads += 1;
    const blocks = Array.isArray(body['block_ids']) ? body['block_ids'].map((block) => numberOf(block) ?? -1) : [];
    return blocksToWire(this.context.ledger.blockContents(blocks));
  }

  #notify(body: JsonObject): JsonObject {
    this.#counts.notifications += 1;
    const freed = this.context.ledger.free(stringOf(body['request_id']) ?? '', stringOf(body['reason']) ?? 'pulled');
    if (!freed) this.#counts.lateNotifications += 1;
    return { freed };
  }

  #heartbeat(body: JsonObject): JsonObject {
    this.#counts.heartbeats += 1;
    const id = stringOf(body['request_id']) ?? '';
    return { extended: this.context.ledger.extend(id, (this.context.leaseMs * 2) / 3) };
  }
}
