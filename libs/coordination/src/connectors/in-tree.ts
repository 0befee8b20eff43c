/** The connectors of this library: what is exported here is provided by the module. */
export { EmbeddedKvConnector } from './embedded.connector.js';
export { LmCacheKvConnector } from './lmcache.connector.js';
export { MooncakeKvConnector } from './mooncake.connector.js';
export { NixlKvConnector } from './nixl.connector.js';
export { OffloadingP2pKvConnector } from './offloading-p2p.connector.js';
export { P2pNcclKvConnector } from './p2p-nccl.connector.js';
export { SglangKvConnector } from './sglang.connector.js';
export { SharedStorageKvConnector } from './shared-storage.connector.js';
export { TrtllmKvConnector } from './trtllm.connector.js';
