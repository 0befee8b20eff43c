export { EmbeddedEngine } from './embedded-engine.js';
export { DEMO_MODEL, type EmbeddedEngineOptions, type KvOptions } from './options.js';
