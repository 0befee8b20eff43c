import { randomUUID } from 'node:crypto';
import type { Engine } from '../../engine/engine.js';
import { detokenize, tokenize, tokenText } from '../../engine/vocabulary.js';
import type { App } from '../../http/app.js';
import type { Exchange } from '../../http/exchange.js';
import { numberOf, stringOf, type JsonObject } from '../../json.js';
import type { DialectOptions } from '../dialect.js';
import { promptAlternatives } from './answer-fields.js';
import { CHAT_NAMES, chatPrompt } from './chat.js';
import { COMPLETION_NAMES, promptsOf } from './completions.js';
import { assertModel } from './leg.js';
import { assertStreamOptions, samplingOf, type SamplingNames } from './sampling.js';

/** Render: what the OpenAI endpoints would run, as requests for the token endpoint. */
export function registerRender(app: App, engine: Engine, options: DialectOptions): void {
  app.route('POST', '/v1/chat/completions/render', async (exchange) => {
    const body = await checked(exchange, options);
    exchange.send(200, rendered(body, tokenize(chatPrompt(body)), 'chatcmpl', CHAT_NAMES, engine, options));
  });
  app.route('POST', '/v1/completions/render', async (exchange) => {
    const body = await checked(exchange, options);
    exchange.send(
      200,
      promptsOf(body).map((ids) => rendered(body, ids, 'cmpl', COMPLETION_NAMES, engine, options)),
    );
  });
}

async function checked(exchange: Exchange, options: DialectOptions): Promise<JsonObject> {
  const body = await exchange.json();
  assertModel(body, options.model);
  assertStreamOptions(body);
  return body;
}

function rendered(
  body: JsonObject,
  promptIds: readonly number[],
  prefix: string,
  names: SamplingNames,
  engine: Engine,
  options: DialectOptions,
): JsonObject {
  const id = stringOf(body['request_id']) ?? randomUUID().replaceAll('-', '');
  return {
    request_id: `${prefix}-${id}`,
    token_ids: promptIds,
    token_offsets: body['return_token_offsets'] === true ? offsetsOf(promptIds) : null,
    features: null,
    sampling_params: samplingParams(body, promptIds.length, names, engine),
    model: options.model,
    stream: body['stream'] === true,
    stream_options: body['stream_options'] ?? null,
    cache_salt: body['cache_salt'] ?? null,
    priority: numberOf(body['priority']) ?? 0,
    kv_transfer_params: body['kv_transfer_params'] ?? null,
    ec_transfer_params: null,
  };
}

/** All sampling parameters, those that were not sent too. */
function samplingParams(body: JsonObject, promptTokens: number, names: SamplingNames, engine: Engine): JsonObject {
  const sampling = samplingOf(body, promptTokens, names, engine.options);
  const number = (name: string, fallback: number): number => numberOf(body[name]) ?? fallback;
  return {
    n: sampling.n,
    presence_penalty: number('presence_penalty', 0),
    frequency_penalty: number('frequency_penalty', 0),
    repetition_penalty: number('repetition_penalty', 1),
    temperature: number('temperature', 1),
    top_p: number('top_p', 1),
    top_k: number('top_k', 0),
    min_p: number('min_p', 0),
    seed: body['seed'] ?? null,
    stop: sampling.stop,
    stop_token_ids: sampling.stopTokenIds,
    ignore_eos: sampling.ignoreEos,
    max_tokens: sampling.maxTokens,
    min_tokens: sampling.minTokens,
    logprobs: sampling.logprobs ?? null,
    prompt_logprobs: promptAlternatives(body) ?? null,
    detokenize: true,
    skip_special_tokens: body['skip_special_tokens'] !== false,
    spaces_between_special_tokens: body['spaces_between_special_tokens'] !== false,
    include_stop_str_in_output: sampling.includeStop,
    output_kind: body['stream'] === true ? 1 : 2,
    extra_args: body['kv_transfer_params'] === undefined ? null : { kv_transfer_params: body['kv_transfer_params'] },
  };
}

/** Where each token begins and ends in the text; the bytes of one character share its place. */
function offsetsOf(ids: readonly number[]): [number, number][] {
  let before = 0;
  const seen: number[] = [];
  return ids.map((id) => {
    seen.push(id);
    const text = id < 128 || id > 255 ? before + tokenText(id).length : detokenize(seen).length;
    const span: [number, number] = [before, text];
    before = text;
    return span;
  });
}
