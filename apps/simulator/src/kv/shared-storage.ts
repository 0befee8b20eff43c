import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf } from '../engine/prefix-hash.js';
import type { Running } from '../engine/running.js';
import { isObject, parseJson, stringifyJson, type JsonObject } from '../json.js';
import { contentOf } from '../ledger/kv-content.js';
import type { KvLeg, KvTransfer, LoadedKv } from './kv-transfer.js';
import type { TransferContext } from './transfer-context.js';
import { blocksFromWire, blocksToWire } from './wire-blocks.js';

/**
 * A store that all servers share, here a directory with a file for each prompt: nothing on the wire says that a
 * request is a leg. Who has computed a prompt stores it, who gets it next loads it.
 */
export class SharedStorageTransfer implements KvTransfer {
  readonly name = 'shared-storage';
  readonly counts: Record<string, number> = { stored: 0, loaded: 0, computed: 0 };
  readonly #dir: string;

  constructor(readonly context: TransferContext) {
    if (context.storeDir === undefined) throw new Error('--kv shared-storage needs --store-dir');
    this.#dir = context.storeDir;
  }

  get addresses(): JsonObject {
    return { storeDir: this.#dir };
  }

  async start(): Promise<void> {
    await mkdir(this.#dir, { recursive: true });
  }

  async close(): Promise<void> {
    // Files stay: another server may read them.
  }

  legFor(): KvLeg {
    let loaded = false;
    return {
      leg: 'none',
      load: async (run) => {
        const found = this.context.role === 'prefill' ? undefined : await this.#load(run);
        loaded = found !== undefined;
        return found;
      },
      afterPrefill: async (run) => {
        if (!loaded && this.context.role !== 'decode') await this.#store(run);
      },
    };
  }

  async #load(run: Running): Promise<LoadedKv | undefined> {
    const text = await readFile(this.#fileOf(run), 'utf8').catch(() => undefined);
    const stored = text === undefined ? undefined : parseJson(text);
    this.#count(isObject(stored) ? 'loaded' : 'computed');
    return isObject(stored) ? { content: contentOf(blocksFromWire(stored)) } : undefined;
  }

  async #store(run: Running): Promise<void> {
    const { ledger } = this.context;
    const { blocks } = ledger.find(run.legId) ?? { blocks: [] };
    const contents = ledger.blockContents(blocks.slice(0, ledger.blocksFor(run.promptTokens)));
    // Whoever reads sees a whole file or none.
    const unfinished = `${this.#fileOf(run)}.${randomUUID()}`;
    await writeFile(unfinished, stringifyJson({ model: this.context.model, ...blocksToWire(contents) }));
    await rename(unfinished, this.#fileOf(run));
    this.#count('stored');
  }

  #fileOf(run: Running): string {
    return join(this.#dir, `${run.promptTokens}-${digestOf(run.job.promptIds)}.json`);
  }

  #count(name: string): void {
    this.counts[name] = (this.counts[name] ?? 0) + 1;
  }
}
