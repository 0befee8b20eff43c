import type { InferenceApi } from '@baton/inference';
import type { AnswerContext, AnswerEncoder } from './answer-encoder.js';
import { chatAnswer } from './chat-answer.js';
import { completionsAnswer } from './completions-answer.js';
import { generateAnswer } from './generate-answer.js';

const ENCODERS: Readonly<Record<InferenceApi, (context: AnswerContext) => AnswerEncoder>> = {
  completions: completionsAnswer,
  chat: chatAnswer,
  generate: generateAnswer,
};

/** The encoder of a request. */
export function answerEncoder(context: AnswerContext): AnswerEncoder {
  return ENCODERS[context.request.api](context);
}
