import type { JsonObject } from '@baton/inference';
import type { AnswerContext, AnswerEncoder } from './answer-encoder.js';
import type { ChoiceDelta } from '../run/choice-writer.js';

/** Answers of `POST /v1/completions`. Source: OpenAI API, completion object. */
export function completionsAnswer(context: AnswerContext): AnswerEncoder {
  const { request, model, created, hasLogprobs, vocabulary, textOffset = 0 } = context;
  const head = { id: `cmpl-${request.id}`, object: 'text_completion', created, model };
  const offsets = new Map<number, number>();

  const logprobsOf = (index: number, delta: ChoiceDelta): JsonObject => {
    let offset = offsets.get(index) ?? textOffset;
    const tokens = delta.logprobs.map(({ token }) => vocabulary.tokenText(token));
    const textOffsets = tokens.map((text) => (offset += text.length) - text.length);
    offsets.set(index, offset);
    return {
      tokens,
      token_logprobs: delta.logprobs.map(({ logprob }) => logprob),
      top_logprobs: delta.logprobs.map(({ token, logprob, top }) =>
        Object.fromEntries(
          [{ token, logprob }, ...top].map((item) => [vocabulary.tokenText(item.token), item.logprob]),
        ),
      ),
      text_offset: textOffsets,
    };
  };
  const choice = (index: number, delta: ChoiceDelta): JsonObject => ({
    index,
    text: delta.text,
    logprobs: hasLogprobs ? logprobsOf(index, delta) : null,
    finish_reason: delta.finishReason,
  });
  return {
    chunk: (index, delta) => ({ ...head, choices: [choice(index, delta)] }),
    usageChunk: (usage) => ({ ...head, choices: [], usage }),
    whole: (choices, usage) => ({ ...head, choices: choices.map((delta, index) => choice(index, delta)), usage }),
  };
}
