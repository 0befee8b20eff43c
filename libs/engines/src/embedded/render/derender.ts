import { setImmediate } from 'node:timers/promises';
import { expectObject, inferenceRequest, invalidRequest, isJsonObject, type JsonObject } from '@baton/inference';
import type { TextApi } from '../../engine.js';
import { answerEncoder } from '../answer/encoders.js';
import type { Vocabulary } from '../llama/vocabulary.js';
import { BodyFields } from '../request/body-fields.js';
import { checkModel, MOST_CHOICES, type PlanContext } from '../request/request-plan.js';
import type { ChoiceDelta } from '../run/choice-writer.js';
import { answerId } from './answer-id.js';
import { derenderChunk } from './derender-chunk.js';
import { MOST_PROMPTS } from './render-request.js';
import { beforeAnswer, spell } from './spelling.js';
import { readTokenChoice, type TokenChoice } from './token-choice.js';

/** An answer of the token endpoint, and what is known of its prompt. */
interface TokenAnswer {
  readonly requestId: string | undefined;
  readonly choices: readonly TokenChoice[];
  readonly prompt: readonly number[] | undefined;
  readonly usage: JsonObject;
}

/**
 * vLLM's `POST /v1/chat/completions/derender` and `/v1/completions/derender`: answers of the token endpoint as the
 * api in text would have given them. For the very same text the prompt's tokens have to be given
 * (`prompt_token_ids`). The parsers that would read `chat_request` do not exist here.
 * Source: vLLM `entrypoints/scale_out/derender/serving.py`.
 *
 * @throws InferenceError 404 for another model, 400 that names the field at fault.
 */
export async function derender(
  api: TextApi,
  body: JsonObject,
  context: PlanContext,
  vocabulary: Vocabulary,
): Promise<JsonObject> {
  const fields = new BodyFields(body);
  checkModel(fields, context.modelName);
  if (fields.boolean('stream') === true) return derenderChunk(api, fields, context, vocabulary);
  const answers = api === 'chat' ? [chatOf(body, context)] : completionsOf(fields, context);
  const deltas: ChoiceDelta[] = [];
  for (const { choices, prompt } of answers) {
    for (const choice of choices) {
      const { text } = spell(choice, beforeAnswer(prompt, vocabulary), vocabulary);
      deltas.push({ ...choice, text, logprobs: choice.logprobs ?? [] });
      // Many long answers take a while, and the engine has other requests.
      await setImmediate();
    }
  }
  const encoder = answerEncoder({
    request: inferenceRequest(api, {}, { id: answerId(answers[0]?.requestId) }),
    model: context.modelName,
    created: Math.floor(Date.now() / 1000),
    hasLogprobs: answers.some(({ choices }) => choices.some(({ logprobs }) => logprobs !== undefined)),
    vocabulary,
  });
  return encoder.whole(deltas, totalUsage(answers));
}

function chatOf(body: JsonObject, context: PlanContext): TokenAnswer {
  const prompt = { tokens: body['prompt_tokens'], ids: body['prompt_token_ids'], path: '' };
  return readAnswer(body['generate_response'], 'generate_response', prompt, context);
}

function completionsOf(fields: BodyFields, context: PlanContext): TokenAnswer[] {
  const responses = fields.array('generate_responses') ?? [];
  if (responses.length === 0 || responses.length > MOST_PROMPTS) {
    throw invalidRequest(`generate_responses must have 1 to ${MOST_PROMPTS} answers.`, 'generate_responses');
  }
  const listFor = (key: string): readonly unknown[] => {
    const list = fields.array(key) ?? [];
    if (list.length === 0 || list.length === responses.length) return list;
    throw invalidRequest(`${key} must have one item for each of generate_responses.`, key);
  };
  const tokens = listFor('prompt_tokens');
  const ids = listFor('prompt_token_ids');
  return responses.map((response, at) =>
    readAnswer(response, `generate_responses[${at}]`, { tokens: tokens[at], ids: ids[at], path: `[${at}]` }, context),
  );
}

/** @param prompt the fields `prompt_tokens` and `prompt_token_ids` of this answer, and what follows their names. */
function readAnswer(
  value: unknown,
  path: string,
  prompt: { readonly tokens: unknown; readonly ids: unknown; readonly path: string },
  context: PlanContext,
): TokenAnswer {
  const fields = new BodyFields(expectObject(value, path), `${path}.`);
  fields.refuse('output_mode', 'Only the output_mode "tokens" is supported.', (mode) => mode === 'tokens');
  const list = fields.array('choices') ?? [];
  if (list.length === 0 || list.length > MOST_CHOICES) {
    throw invalidRequest(`${path}.choices must have 1 to ${MOST_CHOICES} choices.`, `${path}.choices`);
  }
  const choices = list
    .map((choice, at) => readTokenChoice(choice, `${path}.choices[${at}]`, context))
    .sort((one, other) => one.index - other.index);
  const ids = prompt.ids ?? undefined;
  const promptIds = ids === undefined ? undefined : context.prompts.ids(ids, `prompt_token_ids${prompt.path}`);
  const key = `prompt_tokens${prompt.path}`;
  const told = new BodyFields({ [key]: prompt.tokens }).number(key, { min: 0, integer: true });
  const usage = fields.object('usage') ?? {};
  const counted = typeof usage['prompt_tokens'] === 'number' ? usage['prompt_tokens'] : 0;
  return {
    requestId: fields.string('request_id'),
    choices,
    prompt: promptIds,
    usage: { ...usage, prompt_tokens: told ?? promptIds?.length ?? counted },
  };
}

/** Of all prompts together: what was computed for each, as the api in text counts it. */
function totalUsage(answers: readonly TokenAnswer[]): JsonObject {
  const sum = (numberOf: (answer: TokenAnswer) => unknown): number =>
    answers.reduce((total, answer) => total + Number(numberOf(answer) ?? 0), 0);
  const promptTokens = sum(({ usage }) => usage['prompt_tokens']);
  const completionTokens = sum(({ choices }) => choices.reduce((total, { tokenIds }) => total + tokenIds.length, 0));
  const details = answers.map(({ usage }) => usage['prompt_tokens_details']).filter(isJsonObject);
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    ...(details.length > 0 && {
      prompt_tokens_details: {
        cached_tokens: details.reduce((total, { cached_tokens: cached }) => total + (Number(cached) || 0), 0),
      },
    }),
  };
}
