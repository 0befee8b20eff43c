import { expectObject, inferenceRequest, invalidRequest, type JsonObject } from '@baton/inference';
import type { TextApi } from '../../engine.js';
import { answerEncoder } from '../answer/encoders.js';
import type { Vocabulary } from '../llama/vocabulary.js';
import type { BodyFields } from '../request/body-fields.js';
import type { PlanContext } from '../request/request-plan.js';
import { answerId } from './answer-id.js';
import { beforeAnswer, spell } from './spelling.js';
import { readStreamState, writeStreamState, type StreamState } from './stream-state.js';
import { readTokenChoice, type TokenChoice } from './token-choice.js';

/**
 * One chunk of a streamed answer, `{generate_chunk, stream_state}` to `{chunk, stream_state}`. The caller keeps a state
 * for each choice and gives the usage chunk as well; nothing is kept here. A chunk that completes no character
 * gives a chunk without text. Source: vLLM docs, derenderer, streaming.
 */
export function derenderChunk(
  api: TextApi,
  fields: BodyFields,
  context: PlanContext,
  vocabulary: Vocabulary,
): JsonObject {
  const path = 'generate_chunk';
  const given = expectObject(fields.value(path), path);
  const { request_id: requestId, choices = [], usage } = given;
  if (!Array.isArray(choices) || choices.length > 1) {
    throw invalidRequest('generate_chunk.choices must be an array with at most one choice.', `${path}.choices`);
  }
  const state = stateOf(fields, context, vocabulary);
  const encoder = (hasLogprobs: boolean) =>
    answerEncoder({
      request: inferenceRequest(api, {}, { id: answerId(typeof requestId === 'string' ? requestId : undefined) }),
      model: context.modelName,
      created: state.created,
      hasLogprobs,
      vocabulary,
      textOffset: state.textOffset,
    });
  if (choices.length === 0) {
    const chunk = encoder(false).usageChunk(expectObject(usage, `${path}.usage`));
    return { chunk, stream_state: writeStreamState(state) };
  }
  const choice = readTokenChoice(choices[0], `${path}.choices[0]`, context);
  const { text, state: spelling } = spell(choice, state.spelling, vocabulary);
  const delta = { ...choice, text, logprobs: choice.logprobs ?? [] };
  const next: StreamState = {
    spelling,
    hasBegun: true,
    created: state.created,
    textOffset: state.textOffset + spelledLength(choice, vocabulary),
  };
  return {
    chunk: encoder(choice.logprobs !== undefined).chunk(choice.index, delta, !state.hasBegun),
    stream_state: writeStreamState(next),
  };
}

function stateOf(fields: BodyFields, context: PlanContext, vocabulary: Vocabulary): StreamState {
  const state = fields.object('stream_state');
  if (state !== undefined) return readStreamState(state, context.vocabularySize);
  const ids = fields.value('prompt_token_ids');
  const prompt = ids === undefined ? undefined : context.prompts.ids(ids, 'prompt_token_ids');
  return {
    spelling: beforeAnswer(prompt, vocabulary),
    hasBegun: false,
    created: Math.floor(Date.now() / 1000),
    textOffset: 0,
  };
}

/** As `text_offset` counts: the tokens with a log probability, each spelled by itself. */
function spelledLength({ logprobs = [] }: TokenChoice, vocabulary: Vocabulary): number {
  return logprobs.reduce((length, { token }) => length + vocabulary.tokenText(token).length, 0);
}
