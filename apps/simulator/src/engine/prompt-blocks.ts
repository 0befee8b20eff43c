import type { LoadedKv } from '../kv/kv-transfer.js';
import { blocksOf, blocksOfContent } from '../ledger/kv-content.js';
import type { KvLedger } from '../ledger/kv-ledger.js';
import { PrefixHash, type Digest } from './prefix-hash.js';
import type { PrefixCache } from './prefix-cache.js';

/** Puts a prompt into its blocks, behind what was loaded if anything was, and says what is then in them. */
export function writePrompt(
  id: string,
  promptIds: readonly number[],
  loaded: LoadedKv | undefined,
  { ledger, prefixCache }: { readonly ledger: KvLedger; readonly prefixCache: PrefixCache },
): Digest {
  if (loaded === undefined) {
    const blocks = blocksOf(promptIds, ledger.blockTokens);
    ledger.write(id, blocks);
    prefixCache.add(blocks);
  } else {
    const { digest } = new PrefixHash(loaded.content.digest).pushAll(promptIds, loaded.content.tokens);
    ledger.write(id, blocksOfContent({ tokens: promptIds.length, digest }, ledger.blockTokens));
    // What has come from elsewhere can be found again, as in vLLM; if it is this prompt's at all.
    const blocks = prefixCache.enabled ? blocksOf(promptIds, ledger.blockTokens) : [];
    if (blocks.at(-1)?.after === digest) prefixCache.add(blocks);
  }
  return ledger.read(id, promptIds.length).digest;
}

/** Frees blocks whose lease has ended, and lets something else be written to them. */
export function loseLease(id: string, ledger: KvLedger): void {
  const blocks = [...(ledger.find(id)?.blocks ?? [])];
  ledger.free(id, 'lease_expired');
  ledger.spoil(blocks);
}
