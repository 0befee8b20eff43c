import type { JsonObject } from '@baton/inference';
import type { AnswerContext, AnswerEncoder } from './answer-encoder.js';
import type { ChoiceDelta } from '../run/choice-writer.js';
import type { TokenLogprob } from '../run/logprobs.js';

/** Answers of `POST /v1/chat/completions`. Source: OpenAI API, chat completion (chunk) object. */
export function chatAnswer({ request, model, created, hasLogprobs, vocabulary }: AnswerContext): AnswerEncoder {
  const head = { id: `chatcmpl-${request.id}`, created, model };
  const chunkHead = { ...head, object: 'chat.completion.chunk' };

  const entry = ({ token, logprob }: TokenLogprob): JsonObject => {
    const bytes = vocabulary.tokenBytes(token);
    return { token: vocabulary.tokenText(token), logprob, bytes: bytes === undefined ? null : [...bytes] };
  };
  const logprobsOf = (delta: ChoiceDelta): JsonObject | null =>
    hasLogprobs
      ? {
          content: delta.logprobs.map((item) => ({ ...entry(item), top_logprobs: item.top.map(entry) })),
          refusal: null,
        }
      : null;

  return {
    chunk: (index, delta, isFirst) => ({
      ...chunkHead,
      choices: [
        {
          index,
          delta: {
            ...(isFirst && { role: 'assistant' }),
            ...((isFirst || delta.text !== '') && { content: delta.text }),
          },
          logprobs: logprobsOf(delta),
          finish_reason: delta.finishReason,
        },
      ],
    }),
    usageChunk: (usage) => ({ ...chunkHead, choices: [], usage }),
    whole: (choices, usage) => ({
      ...head,
      object: 'chat.completion',
      choices: choices.map((delta, index) => ({
        index,
        message: { role: 'assistant', content: delta.text, refusal: null },
        logprobs: logprobsOf(delta),
        finish_reason: delta.finishReason,
      })),
      usage,
    }),
  };
}
