import { isJsonObject, type JsonObject } from '../../json.js';
import { finishReason } from '../choices.js';
import type { AnswerForm } from './answer-form.js';
import { joinLogprobs, joinText, joinTokenIds, pick } from './pieces.js';

/** Answers of `POST /v1/chat/completions`. Source: OpenAI API, chat completion (chunk) object. */
export const chatForm: AnswerForm = {
  withPromptLogprobs: (answer, promptLogprobs) => ({ ...answer, prompt_logprobs: promptLogprobs }),

  head: (answer) => ({
    ...pick(answer, ['id', 'object', 'created', 'model', 'system_fingerprint', 'service_tier']),
    object: 'chat.completion.chunk',
  }),

  withLead(lead, choice) {
    const message = objectIn(choice, 'message');
    return {
      ...choice,
      message: lead.text ? { ...message, content: joinText(lead.text, message['content']) } : message,
      ...joinTokenIds(lead, choice),
      logprobs: joinLogprobs(lead.logprobs, choice['logprobs']) ?? null,
    };
  },

  /** The role comes first, whether D sends it alone or with its first token. */
  leadDeltas(lead, choice) {
    const { role, ...rest } = objectIn(choice, 'delta');
    const content = lead.text ?? '';
    const event = {
      index: choice['index'],
      logprobs: lead.logprobs ?? null,
      finish_reason: null,
      ...('token_ids' in choice && { token_ids: lead.tokenIds ?? [] }),
    };
    if (role === undefined) return [{ ...event, delta: { content } }, choice];
    if (isEmpty(rest) && finishReason(choice) === undefined) return [choice, { ...event, delta: { content } }];
    return [
      { ...event, delta: { role, content } },
      { ...choice, delta: rest },
    ];
  },

  fieldsBehindLead: [],

  behindLead: () => (choice) => choice,

  deltas(choice) {
    const { message, finish_reason, stop_reason, logprobs, ...rest } = choice;
    const { role = 'assistant', content, ...said } = isJsonObject(message) ? message : {};
    const delta: Record<string, unknown> = isNothing(content) ? {} : { content };
    for (const [name, value] of Object.entries(said)) {
      if (!isNothing(value)) delta[name] = name === 'tool_calls' ? numbered(value) : value;
    }
    const open = { ...rest, finish_reason: null };
    return [
      { ...open, delta: { role, content: '' }, logprobs: null },
      ...(isEmpty(delta) ? [] : [{ ...open, delta, logprobs: logprobs ?? null }]),
      { ...rest, delta: {}, logprobs: null, finish_reason, ...('stop_reason' in choice && { stop_reason }) },
    ];
  },
};

function objectIn(holder: JsonObject, field: string): JsonObject {
  const value = holder[field];
  return isJsonObject(value) ? value : {};
}

const isEmpty = (delta: JsonObject): boolean => Object.values(delta).every(isNothing);

function isNothing(value: unknown): boolean {
  return value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0);
}

/** In a stream each tool call says which it is. */
function numbered(calls: unknown): unknown {
  return Array.isArray(calls)
    ? calls.map((call: unknown, index) => (isJsonObject(call) ? { index, ...call } : call))
    : calls;
}
