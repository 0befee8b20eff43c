import type { JsonObject } from '@baton/inference';
import type { AnswerContext, AnswerEncoder } from './answer-encoder.js';
import type { ChoiceDelta } from '../run/choice-writer.js';

/**
 * Answers of `POST /inference/v1/generate`, in tokens. Source: vLLM
 * `entrypoints/scale_out/token_in_token_out/protocol.py`, GenerateResponse and its stream chunk.
 */
export function generateAnswer({ request, model, created, hasLogprobs }: AnswerContext): AnswerEncoder {
  const own = request.body['request_id'];
  const requestId = `generate-tokens-${typeof own === 'string' && own !== '' ? own : request.id}`;

  const choice = (index: number, delta: ChoiceDelta): JsonObject => ({
    index,
    token_ids: delta.tokenIds,
    finish_reason: delta.finishReason,
    logprobs: hasLogprobs ? logprobsOf(delta) : null,
  });
  return {
    chunk: (index, delta) => ({ request_id: requestId, choices: [choice(index, delta)] }),
    usageChunk: (usage) => ({ request_id: requestId, choices: [], usage }),
    whole: (choices, usage) => ({
      request_id: requestId,
      model,
      created,
      choices: choices.map((delta, index) => choice(index, delta)),
      usage,
    }),
  };
}

function logprobsOf(delta: ChoiceDelta): JsonObject {
  return {
    content: delta.logprobs.map(({ token, logprob, rank, top }) => ({
      token_id: token,
      logprob,
      rank,
      top_logprobs: top.map((item, at) => ({ token_id: item.token, logprob: item.logprob, rank: at + 1 })),
    })),
  };
}
