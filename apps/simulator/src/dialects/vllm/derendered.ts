import { detokenize, tokenText } from '../../engine/vocabulary.js';
import { idsOf, isObject, numberOf, objectOf, stringOf, type JsonObject } from '../../json.js';
import { nowSeconds } from './ids.js';

const choicesOf = (response: JsonObject): JsonObject[] =>
  Array.isArray(response['choices']) ? response['choices'].filter(isObject) : [];

const textOf = (choice: JsonObject): string => detokenize(idsOf(choice['token_ids']) ?? [], { skipSpecial: true });

/** The id of an answer with another prefix: the token endpoint's own is taken off. */
const renamed = (response: JsonObject, prefix: string): string =>
  `${prefix}-${(stringOf(response['request_id']) ?? '').replace(/^generate-tokens-/, '').replace(/^(chatcmpl|cmpl)-/, '')}`;

/** A whole answer as a chat completion. */
export const derenderedChat = (response: JsonObject, model: string): JsonObject => ({
  id: renamed(response, 'chatcmpl'),
  object: 'chat.completion',
  created: numberOf(response['created']) ?? nowSeconds(),
  model,
  choices: choicesOf(response).map((choice) => ({
    index: choice['index'] ?? 0,
    message: { role: 'assistant', content: textOf(choice), refusal: null, tool_calls: [], reasoning_content: null },
    logprobs: chatLogprobs(choice['logprobs']),
    finish_reason: choice['finish_reason'] ?? 'stop',
    stop_reason: choice['stop_reason'] ?? null,
  })),
  usage: response['usage'] ?? null,
  prompt_logprobs: response['prompt_logprobs'] ?? null,
  kv_transfer_params: response['kv_transfer_params'] ?? null,
});

/** Whole answers, one for each prompt, as a completion. */
export function derenderedCompletion(responses: readonly JsonObject[], model: string): JsonObject {
  const usages = responses.map((response) => objectOf(response['usage']) ?? {});
  const sum = (name: string): number => usages.reduce((total, usage) => total + (numberOf(usage[name]) ?? 0), 0);
  const choices = responses.flatMap((response) =>
    choicesOf(response).map((choice) => ({
      text: textOf(choice),
      logprobs: completionLogprobs(choice['logprobs']),
      finish_reason: choice['finish_reason'] ?? 'stop',
      stop_reason: choice['stop_reason'] ?? null,
      prompt_logprobs: response['prompt_logprobs'] ?? null,
    })),
  );
  return {
    id: renamed(responses[0] ?? {}, 'cmpl'),
    object: 'text_completion',
    created: numberOf(responses[0]?.['created']) ?? nowSeconds(),
    model,
    choices: choices.map((choice, index) => ({ index, ...choice })),
    usage: {
      prompt_tokens: sum('prompt_tokens'),
      total_tokens: sum('total_tokens'),
      completion_tokens: sum('completion_tokens'),
      ...(responses.length === 1 && { prompt_tokens_details: usages[0]?.['prompt_tokens_details'] ?? null }),
    },
    kv_transfer_params: responses[0]?.['kv_transfer_params'] ?? null,
  };
}

/** One chunk of the token endpoint as one of chat, and what the next chunk of its choice has to know. */
export function derenderedChatChunk(chunk: JsonObject, state: JsonObject, model: string): JsonObject {
  const choices = choicesOf(chunk);
  const roleSent = state['role_sent'] === true;
  const head = { id: renamed(chunk, 'chatcmpl'), object: 'chat.completion.chunk', created: nowSeconds(), model };
  const usage = chunk['usage'] === undefined ? {} : { usage: chunk['usage'] };
  const ids = choices.flatMap((choice) => idsOf(choice['token_ids']) ?? []);
  return {
    chunk: {
      ...head,
      choices: choices.map((choice) => ({
        index: choice['index'] ?? 0,
        delta: { ...(!roleSent && { role: 'assistant' }), content: textOf(choice) },
        logprobs: chatLogprobs(choice['logprobs']),
        finish_reason: choice['finish_reason'] ?? null,
      })),
      ...usage,
    },
    stream_state: {
      prev_tokens: [...(idsOf(state['output_token_ids']) ?? []), ...ids].slice(-1_024).map(tokenText),
      prefix_offset: 0,
      read_offset: (numberOf(state['read_offset']) ?? 0) + ids.length,
      role_sent: roleSent || choices.length > 0,
      logprob_context_token_ids: ids.slice(-4),
      logprob_text_offset: 0,
      output_token_ids: [...(idsOf(state['output_token_ids']) ?? []), ...ids],
      output_chunk_lens: [],
      tools_streamed: [],
      last_tool_call_ids: [],
    },
  };
}

interface Listed {
  readonly id: number;
  readonly logprob: number;
  readonly top: readonly { readonly id: number; readonly logprob: number }[];
}

/** The tokens of the token endpoint's logprobs; undefined when there are none. */
function listedOf(logprobs: unknown): Listed[] | undefined {
  const content = objectOf(logprobs)?.['content'];
  const token = (item: JsonObject): { id: number; logprob: number } => ({
    id: numberOf(item['token_id']) ?? 0,
    logprob: numberOf(item['logprob']) ?? 0,
  });
  if (!Array.isArray(content)) return undefined;
  return content.filter(isObject).map((item) => ({
    ...token(item),
    top: Array.isArray(item['top_logprobs']) ? item['top_logprobs'].filter(isObject).map(token) : [],
  }));
}

function chatLogprobs(logprobs: unknown): JsonObject | null {
  const json = ({ id, logprob }: { id: number; logprob: number }): JsonObject => ({
    token: tokenText(id),
    logprob,
    bytes: [...Buffer.from(tokenText(id))],
  });
  const listed = listedOf(logprobs);
  return listed === undefined
    ? null
    : { content: listed.map((token) => ({ ...json(token), top_logprobs: token.top.map(json) })) };
}

function completionLogprobs(logprobs: unknown): JsonObject | null {
  const listed = listedOf(logprobs);
  if (listed === undefined) return null;
  let at = 0;
  return {
    text_offset: listed.map(({ id }) => (at += tokenText(id).length) - tokenText(id).length),
    token_logprobs: listed.map(({ logprob }) => logprob),
    tokens: listed.map(({ id }) => tokenText(id)),
    top_logprobs: listed.map((token) =>
      Object.fromEntries([...token.top, token].map(({ id, logprob }) => [tokenText(id), logprob])),
    ),
  };
}
