import type { Engine } from '../engine/engine.js';
import type { App } from '../http/app.js';

/** An HTTP dialect: registers its endpoints, its error shape, and what its API key protects. */
export interface Dialect {
  readonly name: string;
  register(app: App, engine: Engine, options: DialectOptions): void;
}

/** What dialects are configured by. */
export interface DialectOptions {
  readonly model: string;
  /** Requests without any mark of their leg are taken for this. */
  readonly role: 'prefill' | 'decode' | 'both';
  /** The server has no tokenizer: token ids in and out. */
  readonly tokensOnly: boolean;
  /** A directory that servers share. */
  readonly storeDir: string | undefined;
}
