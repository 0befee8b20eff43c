import { randomUUID } from 'node:crypto';
import type { Engine } from '../../engine/engine.js';
import { tokenize } from '../../engine/vocabulary.js';
import type { OpenAiServer } from '../openai/openai-server.js';
import { chatPrompt } from '../vllm/chat.js';
import { llamaPrompts, llamaSampling, slotLegOf } from './completion-request.js';
import type { Slots } from './slots.js';
import { timingsOf } from './timings.js';

/** llama-server's OpenAI endpoints, which take its own fields too. */
export const openAiOf = (engine: Engine, slots: Slots): OpenAiServer => ({
  engine,
  echoes: 'never',
  model: engine.options.model,
  idOf: (api) => `${api === 'chat' ? 'chatcmpl' : 'cmpl'}-${randomUUID().replaceAll('-', '')}`,
  promptsOf: (api, body) => (api === 'chat' ? [tokenize(chatPrompt(body))] : llamaPrompts(body).prompts),
  samplingOf: (_, body, promptTokens) => llamaSampling(body, promptTokens, engine.options),
  kvOf: ({ body }) => ({ kv: slotLegOf(body, slots), rank: 0 }),
  answerFields: (_, [run]) => (run === undefined ? {} : { timings: timingsOf(run, run.completionTokens) }),
});
