import { isJsonObject, type JsonObject } from '../../json.js';
import { replaceFirstChoice } from '../choices.js';
import type { AnswerLead } from '../prefill-share.js';
import type { AnswerForm } from './answer-form.js';
import { joinLogprobs, joinText, joinTokenIds, pick } from './pieces.js';

/** Answers of `POST /v1/completions`. Source: OpenAI API, completion object; vLLM for `prompt_logprobs`. */
export const completionsForm: AnswerForm = {
  withPromptLogprobs: (answer, promptLogprobs) =>
    replaceFirstChoice(answer, (choice) => ({ ...choice, prompt_logprobs: promptLogprobs })),

  head: (answer) => pick(answer, ['id', 'object', 'created', 'model', 'system_fingerprint']),

  withLead: (lead, choice) => ({
    ...choice,
    text: joinText(lead.text, choice['text']),
    ...joinTokenIds(lead, choice),
    logprobs: joinLogprobs(lead.logprobs, shift(lead)(choice)['logprobs']) ?? null,
  }),

  leadDeltas(lead, choice) {
    const empty = {
      index: choice['index'],
      text: '',
      logprobs: null,
      finish_reason: null,
      ...('token_ids' in choice && { token_ids: [] }),
    };
    return [this.withLead(lead, empty), shift(lead)(choice)];
  },

  fieldsBehindLead: ['text_offset'],

  behindLead: shift,

  deltas: (choice) => [choice],
};

/** The offsets of tokens count from the beginning of the whole text, in characters as Python counts them. */
function shift({ text = '' }: AnswerLead): (choice: JsonObject) => JsonObject {
  if (text === '') return (choice) => choice;
  const by = characters(text);
  return (choice) => {
    const logprobs = choice['logprobs'];
    const offsets = isJsonObject(logprobs) ? logprobs['text_offset'] : undefined;
    if (!isJsonObject(logprobs) || !Array.isArray(offsets)) return choice;
    const moved = offsets.map((offset: unknown) => (typeof offset === 'number' ? offset + by : offset));
    return { ...choice, logprobs: { ...logprobs, text_offset: moved } };
  };
}

/** A pair of surrogates is one character. */
const characters = (text: string): number => text.replace(/[\ud800-\udbff][\udc00-\udfff]/g, '.').length;
