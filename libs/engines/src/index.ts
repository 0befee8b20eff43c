export type * from './engine.js';
export * from './embedded/index.js';
export { HttpEngine, type HttpEngineOptions } from './http/http-engine.js';
export { PoolEngine, type PoolEngineOptions } from './pool/pool-engine.js';
