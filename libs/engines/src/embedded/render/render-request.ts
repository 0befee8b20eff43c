import { setImmediate } from 'node:timers/promises';
import { inferenceRequest, invalidRequest, KV_TRANSFER_PARAMS, newId, type JsonObject } from '@baton/inference';
import type { TextApi } from '../../engine.js';
import { BodyFields } from '../request/body-fields.js';
import { planRequest, type PlanContext, type RequestPlan } from '../request/request-plan.js';

/** Prompts of one request. */
export const MOST_PROMPTS = 128;

const ID_PREFIXES: Readonly<Record<TextApi, string>> = { chat: 'chatcmpl-', completions: 'cmpl-' };

/**
 * vLLM's `POST /v1/chat/completions/render` and `/v1/completions/render`: what the token endpoint has to be asked for
 * the same answer, with every default filled in. For completions it is a list, one for each prompt.
 * Source: vLLM `entrypoints/scale_out/render/serving.py`.
 *
 * @throws InferenceError as `planRequest`, and 400 for what the token endpoint cannot do (`stop`, `echo`).
 */
export async function renderRequest(
  api: TextApi,
  body: JsonObject,
  context: PlanContext,
): Promise<JsonObject | JsonObject[]> {
  if (api === 'chat') return rendered(api, body, context);
  const requests: JsonObject[] = [];
  for (const prompt of promptsOf(body['prompt'])) {
    requests.push(rendered(api, { ...body, prompt }, context));
    // Many long prompts take a while, and the engine has other requests.
    await setImmediate();
  }
  return requests;
}

/** `prompt` is one prompt, a text or token ids, or a list of prompts. */
function promptsOf(prompt: unknown): readonly unknown[] {
  const isList = Array.isArray(prompt) && (typeof prompt[0] === 'string' || Array.isArray(prompt[0]));
  if (!isList) return [prompt];
  if (prompt.length > MOST_PROMPTS) throw invalidRequest(`prompt must have at most ${MOST_PROMPTS} prompts.`, 'prompt');
  return prompt;
}

function rendered(api: TextApi, body: JsonObject, context: PlanContext): JsonObject {
  const fields = new BodyFields(body);
  const why = 'cannot be rendered: the token endpoint answers in tokens';
  fields.refuse('stop', `stop ${why}; use stop_token_ids.`, (value) => Array.isArray(value) && value.length === 0);
  fields.refuse('echo', `echo ${why} of the answer only.`, (value) => value === false);
  // A handoff belongs to a leg, and what is rendered is none yet.
  const request = inferenceRequest(api, { ...body, [KV_TRANSFER_PARAMS]: null });
  const plan = planRequest(request, context);
  return {
    request_id: fields.string('request_id') ?? `${ID_PREFIXES[api]}${newId()}`,
    token_ids: plan.prompt,
    sampling_params: samplingParams(plan),
    model: fields.string('model') ?? context.modelName,
    stream: request.stream,
    stream_options: fields.object('stream_options') ?? null,
    cache_salt: fields.string('cache_salt') ?? null,
    priority: fields.number('priority', { integer: true }) ?? 0,
  };
}

function samplingParams({ choices, sampling, stop, maxTokens, minTokens, logprobs }: RequestPlan): JsonObject {
  return {
    n: choices,
    temperature: sampling.temperature,
    top_p: sampling.topP,
    top_k: sampling.topK,
    min_p: sampling.minP,
    seed: sampling.seed ?? null,
    presence_penalty: sampling.presencePenalty,
    frequency_penalty: sampling.frequencyPenalty,
    repetition_penalty: sampling.repetitionPenalty,
    logit_bias: sampling.logitBias.size === 0 ? null : Object.fromEntries(sampling.logitBias),
    max_tokens: maxTokens,
    min_tokens: minTokens,
    stop_token_ids: stop.tokenIds,
    ignore_eos: stop.ignoreEnd,
    logprobs: logprobs ?? null,
  };
}
