import { isJsonObject, type JsonObject } from '@baton/inference';
import type { DialectName, InTreeDialectName } from '@baton/remotes';
import { notSupported } from './not-supported.js';

/** Calls one server and gives its JSON answer. */
export type JsonCall = (method: 'GET' | 'POST', path: string, body?: JsonObject) => Promise<JsonObject>;

/** How a server is asked for tokens and texts. Requests and answers have vLLM's form. */
export interface TokenCalls {
  tokenize(call: JsonCall, body: JsonObject): Promise<JsonObject>;
  detokenize(call: JsonCall, body: JsonObject): Promise<JsonObject>;
}

const asTheyAre: TokenCalls = {
  tokenize: (call, body) => call('POST', '/tokenize', body),
  detokenize: (call, body) => call('POST', '/detokenize', body),
};

/** Source: SGLang `srt/entrypoints/openai/serving_tokenize.py`. It has no chat template there. */
const sglang: TokenCalls = {
  async tokenize(call, body) {
    if (body['messages'] !== undefined) throw notSupported('sglang', 'tokens of messages');
    return call('POST', '/tokenize', body);
  },
  async detokenize(call, body) {
    const { text } = await call('POST', '/detokenize', { skip_special_tokens: false, ...body });
    return { prompt: text };
  },
};

/** Source: llama.cpp `tools/server/README.md`. */
const llamacpp: TokenCalls = {
  async tokenize(call, body) {
    const prompt = body['messages'] === undefined ? body : await call('POST', '/apply-template', body);
    const [answer, maxModelTokens] = await Promise.all([
      call('POST', '/tokenize', {
        content: prompt['prompt'],
        add_special: body['add_special_tokens'] ?? true,
        with_pieces: body['return_token_strs'] === true,
      }),
      contextSize(call),
    ]);
    const tokens = Array.isArray(answer['tokens']) ? (answer['tokens'] as readonly unknown[]) : [];
    const pieces = tokens.filter(isJsonObject);
    return {
      count: tokens.length,
      max_model_len: maxModelTokens,
      tokens: tokens.map((token) => (isJsonObject(token) ? token['id'] : token)),
      ...(body['return_token_strs'] === true && { token_strs: pieces.map(({ piece }) => pieceText(piece)) }),
    };
  },
  async detokenize(call, body) {
    const { content } = await call('POST', '/detokenize', { tokens: body['tokens'] });
    return { prompt: content };
  },
};

/** Prompt and answer together, in tokens; null when the server does not say. */
async function contextSize(call: JsonCall): Promise<unknown> {
  const { default_generation_settings: settings } = await call('GET', '/props').catch((): JsonObject => ({}));
  return isJsonObject(settings) ? (settings['n_ctx'] ?? null) : null;
}

/** A piece that is no whole character comes as its bytes. */
function pieceText(piece: unknown): unknown {
  return Array.isArray(piece) ? Buffer.from(piece as number[]).toString('utf8') : piece;
}

/** Undefined for servers that have no tokenizer for others. */
const TOKEN_CALLS: Readonly<Record<InTreeDialectName, TokenCalls | undefined>> = {
  openai: asTheyAre,
  vllm: asTheyAre,
  sglang,
  trtllm: undefined,
  llamacpp,
};

/** Undefined for servers that have no tokenizer for others, and for dialects of plugins, of which nobody knows. */
export function tokenCallsOf(dialect: DialectName): TokenCalls | undefined {
  return Object.entries(TOKEN_CALLS).find(([name]) => name === dialect)?.[1];
}
