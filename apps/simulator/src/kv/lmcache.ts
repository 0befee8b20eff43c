import { digestOf, PrefixHash } from '../engine/prefix-hash.js';
import type { RunEnd, Running } from '../engine/running.js';
import { faultOf } from '../http/request-record.js';
import { numberOf, objectOf, stringOf, type JsonObject } from '../json.js';
import type { KvLeg, KvRequest, KvTransfer, LoadedKv } from './kv-transfer.js';
import { misreported } from './misreported.js';
import { Received } from './received.js';
import { callSide, SideChannel } from './side-channel.js';
import type { TransferContext } from './transfer-context.js';
import { blocksFromWire, blocksToWire } from './wire-blocks.js';

/**
 * LMCache between a prefill and a decode: the prefill pushes its cache to the receiver that its request names, and
 * tells the first token. Caches are found by what they are of, so the decode needs no params: it gets the prompt
 * with the first token, finds the cache of the prompt or computes it, and goes on behind the first token.
 */
export class LmCacheTransfer implements KvTransfer {
  readonly name = 'lmcache';
  readonly counts: Record<string, number> = { sent: 0, found: 0, computed: 0, failedTransfers: 0 };
  readonly #received: Received;
  readonly #channel: SideChannel;
  #port = 0;

  constructor(readonly context: TransferContext) {
    this.#received = new Received(context.ledger, 'lmcache', context.timeoutMs);
    this.#channel = new SideChannel({
      'POST /put': (body) => ({ taken: this.#received.put(stringOf(body['key']) ?? '', blocksFromWire(body)) }),
    });
  }

  get addresses(): JsonObject {
    return { kvPort: this.#port, kvHost: this.context.advertisedHost };
  }

  async start(): Promise<void> {
    this.#port = await this.#channel.listen(this.context.kvPort, this.context.host);
  }

  close(): Promise<void> {
    return this.#channel.close();
  }

  legFor({ params }: KvRequest): KvLeg {
    const spec = objectOf(params?.['disagg_spec']);
    const tellsFirst = params?.['ret_first_tok'] === true;
    if (spec === undefined && !tellsFirst) return { leg: 'none', load: async (run) => this.#find(run) };
    return { leg: 'prefill', finished: (run, end) => this.#hand(run, end, spec, tellsFirst) };
  }

  async #hand(
    run: Running,
    end: RunEnd,
    spec: JsonObject | undefined,
    tellsFirst: boolean,
  ): Promise<JsonObject | undefined> {
    const { record } = run.job;
    if (end !== 'length' && end !== 'stop') return undefined;
    const receiver = receiverOf(spec);
    if (receiver !== undefined && faultOf(record, 'lease_expired') === undefined) await this.#send(run, receiver);
    if (faultOf(record, 'null_params') !== undefined || !tellsFirst) return undefined;
    const told = faultOf(record, 'missing_first_token') === undefined;
    return misreported(record, told ? { first_tok: run.firstTokens[0] } : {});
  }

  async #send(run: Running, receiver: string): Promise<void> {
    const { ledger } = this.context;
    const { blocks } = ledger.find(run.legId) ?? { blocks: [] };
    const contents = ledger.blockContents(blocks.slice(0, ledger.blocksFor(run.promptTokens)));
    try {
      await callSide(`${receiver}/put`, { key: digestOf(run.job.promptIds), ...blocksToWire(contents) }, run.signal);
      this.counts['sent'] = (this.counts['sent'] ?? 0) + 1;
    } catch (error) {
      this.counts['failedTransfers'] = (this.counts['failedTransfers'] ?? 0) + 1;
      this.context.log('kv transfer failed', { error: String(error) });
    }
  }

  /** The longest cache here that the prompt begins with. */
  #find(run: Running): LoadedKv | undefined {
    const { promptIds } = run.job;
    const waiting = this.#received.waiting;
    const lengths = new Set(waiting.values());
    const hash = new PrefixHash();
    let found: string | undefined;
    promptIds.forEach((id, index) => {
      const key = hash.push(id);
      if (lengths.has(index + 1) && waiting.has(key.digest)) found = key.digest;
    });
    const content = found === undefined ? undefined : this.#received.take(found);
    const count = content === undefined ? 'computed' : 'found';
    this.counts[count] = (this.counts[count] ?? 0) + 1;
    return content === undefined ? undefined : { content };
  }
}

function receiverOf(spec: JsonObject | undefined): string | undefined {
  const host = stringOf(spec?.['receiver_host']);
  const ports = spec?.['receiver_init_port'];
  const port = numberOf(Array.isArray(ports) ? ports[0] : ports);
  return host === undefined || port === undefined ? undefined : `http://${host}:${port}`;
}
