/**
 * A point at which the double waits until the test lets it go on. `reached` lets a test prove that its fault
 * happened exactly there.
 */
export class Gate {
  #reach: () => void = () => undefined;
  #open: () => void = () => undefined;

  /** Settles when a request has come to this gate. */
  readonly reached = new Promise<void>((resolve) => (this.#reach = resolve));
  readonly #opened = new Promise<void>((resolve) => (this.#open = resolve));

  /** Lets through what waits here and what comes later. */
  open(): void {
    this.#open();
  }

  /** Called by the double. */
  pass(): Promise<void> {
    this.#reach();
    return this.#opened;
  }
}

/** How an answer ends. `afterTokens` counts tokens sent before; when left out, all of them. */
export type Ending =
  | { readonly kind: 'complete' }
  /** An `error` event, then `[DONE]`; a 500 when the answer is not streamed. */
  | { readonly kind: 'error_event'; readonly afterTokens?: number }
  /** The stream ends cleanly, but without its end mark. */
  | { readonly kind: 'no_done'; readonly afterTokens?: number }
  /** TCP reset; with `afterTokens` 0, or when the answer is not streamed, before the head. */
  | { readonly kind: 'reset'; readonly afterTokens?: number }
  /** A JSON error instead of an answer. `body` replaces the error object of the OpenAI shape. */
  | { readonly kind: 'status'; readonly status: number; readonly body?: unknown };

/** What the double does with a request. */
export interface Behaviour {
  /** Tokens of the answer, at most the limit of the request. Default: that limit, or 16 when it has none. */
  readonly tokens?: number;
  /** Bytes of text of each token, at least 8. Default 8. The token endpoint sends one token id instead. */
  readonly tokenBytes?: number;
  /** Between two tokens. 0, the default, is as fast as back-pressure allows. */
  readonly intervalMs?: number;
  /** Before the head of the answer: the time of a prefill. Default 0. */
  readonly headDelayMs?: number;
  /** Held here before the head, after `headDelayMs`. */
  readonly beforeHead?: Gate;
  /** Held here before the token with this index, with the head and all tokens before it sent. Streams only. */
  readonly beforeToken?: { readonly index: number; readonly gate: Gate };
  /** Whether a prefill leg leaves a handoff behind. Default true. */
  readonly handoff?: boolean;
  /** Default `complete`. */
  readonly ending?: Ending;
}
