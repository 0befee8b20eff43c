export { EmbeddedEngine } from './embedded-engine.js';
export type { SideChannelAccess } from './handoff/side-channel-access.js';
export { DEMO_MODEL, type EmbeddedEngineOptions, type KvOptions } from './options.js';
