import type { DialectOptions } from '../dialect.js';

/** What `llama-server` is started with; `storeDir` is its `--slot-save-path`. */
export interface LlamaCppOptions extends DialectOptions {
  /** `--parallel`. Default: four, or fewer when fewer requests may run. */
  readonly slots?: number;
  /** How long the model takes to load: until then every answer is 503. */
  readonly loadMs?: number;
  /** `--sse-ping-interval`: comments in streams that are silent for this long. Default: none. */
  readonly ssePingMs?: number;
}
