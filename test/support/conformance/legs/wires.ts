import type { SimulatedConnector } from '../../deployment.js';
import { lmcache } from './lmcache.js';
import { mooncake } from './mooncake.js';
import { nixl } from './nixl.js';
import { p2pNccl } from './p2p-nccl.js';
import { sglang } from './sglang.js';
import { sharedStorage } from './shared-storage.js';
import { trtllm } from './trtllm.js';
import type { Wire } from './wire.js';

/** What each connector has on the wire. */
export const WIRES: Readonly<Record<SimulatedConnector, Wire>> = {
  nixl,
  mooncake,
  sglang,
  trtllm,
  'shared-storage': sharedStorage,
  'p2p-nccl': p2pNccl,
  lmcache,
};
