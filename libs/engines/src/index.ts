export type * from './engine.js';
export * from './embedded/index.js';
export { HttpEngine, type HttpEngineOptions } from './http-engine.js';
