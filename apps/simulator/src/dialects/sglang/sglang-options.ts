import type { DialectOptions } from '../dialect.js';

/** What an SGLang server is started with. */
export interface SglangOptions extends DialectOptions {
  /** `--stream-output`: events of `/generate` carry what is new only. Default: the whole output so far, in each. */
  readonly streamOutput?: boolean;
}
