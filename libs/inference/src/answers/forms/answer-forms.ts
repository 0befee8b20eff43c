import type { InferenceApi } from '../../inference-request.js';
import type { AnswerForm } from './answer-form.js';
import { chatForm } from './chat-form.js';
import { completionsForm } from './completions-form.js';
import { generateForm } from './generate-form.js';

/** The form of each api's answers. */
export const ANSWER_FORMS: Readonly<Record<InferenceApi, AnswerForm>> = {
  completions: completionsForm,
  chat: chatForm,
  generate: generateForm,
};
