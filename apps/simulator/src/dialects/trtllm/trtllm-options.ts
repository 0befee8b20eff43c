import type { DialectOptions } from '../dialect.js';

/** What `trtllm-serve` is started with. */
export interface TrtLlmOptions extends DialectOptions {
  /** How a context answer that goes on elsewhere ends; versions differ. Default: `length`. */
  readonly contextFinish?: 'length' | 'not_finished';
}
