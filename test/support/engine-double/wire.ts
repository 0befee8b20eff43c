/** A JSON object as it came. */
export type Json = Readonly<Record<string, unknown>>;

/** The three request protocols, by path. */
export const APIS = {
  '/v1/completions': 'completions',
  '/v1/chat/completions': 'chat',
  '/inference/v1/generate': 'generate',
} as const;

export type Api = (typeof APIS)[keyof typeof APIS];

export const MODEL = 'engine-double';
export const DONE = 'data: [DONE]\n\n';
export const MIN_TOKEN_BYTES = 8;

/** Six digits, so that a token's place in its event never moves. */
const FIRST_NUMBER = 100_000;

/** The text of token `index`: its number, filled up to `tokenBytes` with a blank at the end. */
export function tokenText(index: number, tokenBytes = MIN_TOKEN_BYTES): string {
  return `${String(FIRST_NUMBER + index).padEnd(tokenBytes - 1, '.')} `;
}

/** The id that the token endpoint sends for token `index`. */
export const tokenId = (index: number): number => FIRST_NUMBER + index;

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The request's own limit of tokens, undefined when it has none. */
export function tokenLimit(body: Json): number | undefined {
  const sampling = isObject(body['sampling_params']) ? body['sampling_params'] : body;
  const limit = sampling['max_completion_tokens'] ?? sampling['max_tokens'];
  return typeof limit === 'number' ? limit : undefined;
}

/** Top level, or nested where vLLM before 0.29 wanted it on the token endpoint. */
export function kvTransferParams(body: Json): Json {
  if (isObject(body['kv_transfer_params'])) return body['kv_transfer_params'];
  const sampling = isObject(body['sampling_params']) ? body['sampling_params'] : {};
  const extra = isObject(sampling['extra_args']) ? sampling['extra_args'] : {};
  return isObject(extra['kv_transfer_params']) ? extra['kv_transfer_params'] : {};
}

/** One token a byte of the prompt's text, or the token ids themselves. */
export function promptTokens(body: Json): number {
  if (Array.isArray(body['token_ids'])) return body['token_ids'].length;
  if (Array.isArray(body['prompt'])) return body['prompt'].length;
  return Buffer.byteLength(
    typeof body['prompt'] === 'string' ? body['prompt'] : JSON.stringify(body['messages'] ?? ''),
  );
}

/** How one answer looks on the wire. Source of the shapes: OpenAI API; vLLM's OpenAI server and token endpoint. */
export class AnswerWire {
  readonly #created = Math.floor(Date.now() / 1000);
  readonly #event: Buffer;
  readonly #numberAt: number;
  readonly #usage: Json | undefined;

  constructor(
    private readonly api: Api,
    private readonly id: string,
    private readonly body: Json,
    private readonly tokens: number,
    private readonly tokenBytes: number,
  ) {
    this.#event = Buffer.from(this.#sse([this.#delta(0, null)]));
    this.#numberAt = this.#event.indexOf(String(FIRST_NUMBER), this.#event.indexOf('"choices"'));
    const options = body['stream_options'];
    this.#usage = isObject(options) && options['include_usage'] === true ? this.#usageOf() : undefined;
  }

  /** The event of one token: a copy of one that was built before, with the number changed. */
  token(index: number): Buffer {
    const event = Buffer.from(this.#event);
    event.write(String(FIRST_NUMBER + index), this.#numberAt, 'latin1');
    if (index > 0 || this.api !== 'chat') return event;
    const role = this.#sse([{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }]);
    return Buffer.concat([Buffer.from(role), event]);
  }

  /** What follows the last token: the finish reason, the usage when it was asked for, the end mark. */
  end(): string {
    const usage = this.#usage === undefined ? '' : this.#sse([], { usage: this.#usage });
    return `${this.#sse([this.#delta(undefined, 'length')])}${usage}${DONE}`;
  }

  /** The answer when it is not streamed. */
  whole(kvTransferParams: Json | undefined): string {
    const indexes = Array.from({ length: this.tokens }, (_, index) => index);
    const text = indexes.map((index) => tokenText(index, this.tokenBytes)).join('');
    const choice = {
      completions: { text },
      chat: { message: { role: 'assistant', content: text } },
      generate: { token_ids: indexes.map(tokenId) },
    }[this.api];
    return JSON.stringify({
      ...this.#head(false),
      choices: [{ index: 0, ...choice, logprobs: null, finish_reason: 'length' }],
      usage: this.#usageOf(),
      kv_transfer_params: kvTransferParams ?? null,
    });
  }

  #delta(index: number | undefined, finishReason: string | null): Json {
    const text = index === undefined ? '' : tokenText(index, this.tokenBytes);
    const delta = {
      completions: { text },
      chat: { delta: index === undefined ? {} : { content: text } },
      generate: { token_ids: index === undefined ? [] : [tokenId(index)] },
    }[this.api];
    return { index: 0, ...delta, logprobs: null, finish_reason: finishReason };
  }

  #sse(choices: readonly Json[], more: Json = {}): string {
    return `data: ${JSON.stringify({ ...this.#head(true), choices, ...more })}\n\n`;
  }

  #head(isStream: boolean): Json {
    const { id } = this;
    const model = typeof this.body['model'] === 'string' ? this.body['model'] : MODEL;
    if (this.api === 'generate') return { request_id: id, model, created: this.#created };
    const chat = isStream ? 'chat.completion.chunk' : 'chat.completion';
    return { id, object: this.api === 'chat' ? chat : 'text_completion', created: this.#created, model };
  }

  #usageOf(): Json {
    const prompt = promptTokens(this.body);
    return { prompt_tokens: prompt, completion_tokens: this.tokens, total_tokens: prompt + this.tokens };
  }
}
