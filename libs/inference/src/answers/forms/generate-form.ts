import type { AnswerForm } from './answer-form.js';
import { joinLogprobs, joinText, joinTokenIds, pick } from './pieces.js';

/**
 * Answers of `POST /inference/v1/generate`. Source: vLLM `entrypoints/scale_out/token_in_token_out/protocol.py`,
 * GenerateResponse and its stream chunk.
 */
export const generateForm: AnswerForm = {
  withPromptLogprobs: (answer, promptLogprobs) => ({ ...answer, prompt_logprobs: promptLogprobs }),

  head: (answer) => pick(answer, ['request_id', 'output_mode']),

  withLead: (lead, choice) => ({
    ...choice,
    ...joinTokenIds(lead, choice),
    // Only with `output_mode` text.
    ...(typeof choice['text'] === 'string' && { text: joinText(lead.text, choice['text']) }),
    logprobs: joinLogprobs(lead.logprobs, choice['logprobs']) ?? null,
  }),

  leadDeltas(lead, choice) {
    const empty = {
      index: choice['index'],
      token_ids: [],
      finish_reason: null,
      logprobs: null,
      ...(typeof choice['text'] === 'string' && { text: '' }),
    };
    return [this.withLead(lead, empty), choice];
  },

  fieldsBehindLead: [],

  behindLead: () => (choice) => choice,

  deltas: (choice) => [choice],
};
