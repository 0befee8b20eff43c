import type { Engine } from '../../engine/engine.js';
import { tokenize } from '../../engine/vocabulary.js';
import { CHAT_NAMES, chatPrompt } from '../vllm/chat.js';
import { COMPLETION_NAMES, promptsOf } from '../vllm/completions.js';
import { samplingOf } from '../vllm/sampling.js';
import type { OpenAiServer } from '../openai/openai-server.js';
import { ridOf } from './ids.js';
import { kvPartOf, sideSampling } from './kv-fields.js';

/** SGLang's OpenAI endpoints. */
export const openAiOf = (engine: Engine): OpenAiServer => ({
  engine,
  echoes: 'with logprobs',
  model: engine.options.model,
  idOf: (_, { body }) => ridOf(body),
  promptsOf: (api, body) => (api === 'chat' ? [tokenize(chatPrompt(body))] : promptsOf(body)),
  samplingOf: (api, body, promptTokens, kv) => {
    const names = api === 'chat' ? CHAT_NAMES : COMPLETION_NAMES;
    const sampling = samplingOf(body, promptTokens, names, engine.options);
    return sideSampling({ ...sampling, includeStop: body['no_stop_trim'] === true }, kv);
  },
  kvOf: (answer, index) => kvPartOf(engine, answer, index),
  choiceFields: (_, __, { stopReason, finish }) => (finish === undefined ? {} : { matched_stop: stopReason }),
});
