import type { ServerResponse } from 'node:http';
import type { Behaviour, Ending } from './behaviour.js';
import type { Pace } from './pace.js';
import { DONE, type AnswerWire } from './wire.js';

/** What one answer has done so far. */
export interface AnswerProgress {
  /** Tokens handed to the response. */
  tokens: number;
  /** Bytes of the body handed to the response. */
  bytes: number;
  /** How often the response wanted no more (`write()` was false). */
  paused: number;
}

/** Tokens that one step writes without a pause before other streams get their turn. */
const BURST = 64;

/** Sends the tokens of one answer: paced, held at its gate, and stopped while the client takes no more. */
export class TokenStream {
  readonly #end: number;
  readonly #ending: Ending;
  readonly #intervalMs: number;
  #gate: Behaviour['beforeToken'];
  #cancel: (() => void) | undefined;

  constructor(
    private readonly response: ServerResponse,
    private readonly wire: AnswerWire,
    behaviour: Behaviour,
    tokens: number,
    private readonly progress: AnswerProgress,
    private readonly pace: Pace,
    private readonly reset: () => void,
  ) {
    this.#ending = behaviour.ending ?? { kind: 'complete' };
    const cut = 'afterTokens' in this.#ending ? this.#ending.afterTokens : undefined;
    this.#end = Math.min(cut ?? tokens, tokens);
    this.#intervalMs = behaviour.intervalMs ?? 0;
    this.#gate = behaviour.beforeToken;
  }

  start(): void {
    this.response.once('close', () => this.#cancel?.());
    this.response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' });
    if (this.#gate?.index === 0) this.response.flushHeaders();
    this.#next();
  }

  readonly #next = (): void => {
    for (let burst = 0; burst < BURST; burst += 1) {
      if (this.response.destroyed) return;
      if (this.progress.tokens === this.#gate?.index) return this.#hold(this.#gate.gate.pass());
      if (this.progress.tokens === this.#end) return this.#finish();
      const token = this.wire.token(this.progress.tokens);
      this.progress.tokens += 1;
      // An engine sends the finish reason with its last token: one write for both.
      if (this.progress.tokens === this.#end && this.#gate?.index !== this.#end) return this.#finish(token);
      const hasRoom = this.#write(token);
      if (!hasRoom) return this.#waitForClient();
      if (this.#intervalMs > 0) {
        this.#cancel = this.pace(this.#intervalMs, this.#next);
        return;
      }
    }
    const turn = setImmediate(this.#next);
    this.#cancel = () => clearImmediate(turn);
  };

  #hold(opened: Promise<void>): void {
    this.#gate = undefined;
    void opened.then(this.#next);
  }

  #waitForClient(): void {
    this.progress.paused += 1;
    this.response.once('drain', this.#next);
  }

  #write(bytes: Buffer | string): boolean {
    this.progress.bytes += Buffer.byteLength(bytes);
    return this.response.write(bytes);
  }

  #finish(token: Buffer = NOTHING): void {
    if (this.#ending.kind === 'reset') return this.#finishByReset(token);
    this.#write(Buffer.concat([token, Buffer.from(this.#lastWords())]));
    this.response.end();
  }

  #lastWords(): string {
    if (this.#ending.kind === 'no_done') return '';
    if (this.#ending.kind === 'error_event') return `data: ${JSON.stringify(errorBody(500))}\n\n${DONE}`;
    return this.wire.end();
  }

  /** The tokens go out first. */
  #finishByReset(token: Buffer): void {
    if (this.progress.tokens === 0) return this.reset();
    this.#write(token);
    const later = setTimeout(this.reset, READ_BEFORE_RESET_MS);
    this.#cancel = () => clearTimeout(later);
  }
}

const NOTHING = Buffer.alloc(0);

/** libuv tells a reader that finds data and a reset at once of a plain end. */
const READ_BEFORE_RESET_MS = 25;

/** The error object of the OpenAI shape. */
export function errorBody(status: number, message = `The double was told to fail with ${status}.`): unknown {
  return { error: { message, type: status < 500 ? 'invalid_request_error' : 'server_error', param: null, code: null } };
}
