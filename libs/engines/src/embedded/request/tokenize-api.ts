import { invalidRequest, type JsonObject } from '@baton/inference';
import { BodyFields } from './body-fields.js';
import { checkModel, type PlanContext } from './request-plan.js';
import type { Vocabulary } from '../llama/vocabulary.js';

/** vLLM's `POST /tokenize`: a text as a completion would read it, or messages as a chat would. */
export function tokenizeAnswer(body: JsonObject, context: PlanContext, vocabulary: Vocabulary): JsonObject {
  const fields = new BodyFields(body);
  checkModel(fields, context.modelName);
  const tokens = fields.has('messages')
    ? context.prompts.chat(body['messages'], fields.boolean('add_generation_prompt') ?? true)
    : textTokens(fields, context);
  const texts = fields.boolean('return_token_strs') === true && {
    token_strs: tokens.map((token) => vocabulary.tokenText(token)),
  };
  return { count: tokens.length, max_model_len: context.contextTokens, tokens, ...texts };
}

function textTokens(fields: BodyFields, context: PlanContext): number[] {
  const prompt = fields.string('prompt');
  if (prompt === undefined) throw invalidRequest('prompt or messages is missing.', 'prompt');
  return context.prompts.text(prompt, fields.boolean('add_special_tokens') ?? true);
}

/** vLLM's `POST /detokenize`. */
export function detokenizeAnswer(body: JsonObject, context: PlanContext, vocabulary: Vocabulary): JsonObject {
  checkModel(new BodyFields(body), context.modelName);
  return { prompt: vocabulary.detokenize(context.prompts.ids(body['tokens'], 'tokens')) };
}
