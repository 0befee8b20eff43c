import type { KvTransfer } from './kv-transfer.js';
import { LmCacheTransfer } from './lmcache.js';
import { MooncakeTransfer } from './mooncake.js';
import { NixlTransfer } from './nixl.js';
import { P2pNcclTransfer } from './p2p-nccl.js';
import { SglangRendezvous } from './sglang-rendezvous.js';
import { SharedStorageTransfer } from './shared-storage.js';
import type { TransferContext } from './transfer-context.js';
import { TrtCommitTransfer } from './trt-commit.js';

/** The KV transfers by the name that `--kv` selects them by. */
export const TRANSFERS: Readonly<Record<string, (context: TransferContext) => KvTransfer | undefined>> = {
  none: () => undefined,
  nixl: (context) => new NixlTransfer(context),
  mooncake: (context) => new MooncakeTransfer(context),
  'p2p-nccl': (context) => new P2pNcclTransfer(context),
  lmcache: (context) => new LmCacheTransfer(context),
  'shared-storage': (context) => new SharedStorageTransfer(context),
  sglang: (context) => new SglangRendezvous(context),
  trtllm: (context) => new TrtCommitTransfer(context),
};
