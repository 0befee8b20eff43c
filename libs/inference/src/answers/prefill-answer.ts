import type { InferenceRequest } from '../inference-request.js';
import { isJsonObject, type JsonObject } from '../json.js';
import { bytesPart, jsonPart, type ResponsePart } from '../response-part.js';
import { SSE_DONE, sseEvent } from '../sse.js';
import { readUpstream } from './answer-json.js';
import { choicesOf, finishReason, PREFILL_ENDS } from './choices.js';
import { ANSWER_FORMS } from './forms/answer-forms.js';
import { withoutHandoff } from './handoff-fields.js';

/** Ends of a prefill leg that are not ends of the answer: those of every one, and vLLM's failures. */
const NO_ENDS = new Set([...PREFILL_ENDS, 'abort', 'error']);

/**
 * Whether P's answer is the client's whole answer: its one token ended it, or the client wants no more than one (and it
 * has one: some engines only read the prompt).
 */
export function endsWithPrefill(request: InferenceRequest, answer: JsonObject): boolean {
  const [choice, ...more] = choicesOf(answer);
  const reason = choice && finishReason(choice);
  if (reason === undefined || more.length > 0 || NO_ENDS.has(reason)) return false;
  return reason !== 'length' || (maxTokens(request) === 1 && hasToken(answer));
}

/** The client's own limit. */
function maxTokens({ api, body }: InferenceRequest): unknown {
  if (api !== 'generate') return (api === 'chat' ? body['max_completion_tokens'] : undefined) ?? body['max_tokens'];
  return isJsonObject(body['sampling_params']) ? body['sampling_params']['max_tokens'] : undefined;
}

function hasToken(answer: JsonObject): boolean {
  return !isJsonObject(answer['usage']) || answer['usage']['completion_tokens'] !== 0;
}

/** P's answer, which is never streamed, as the client's, which may be. */
export function answerFromPrefill(request: InferenceRequest, answer: JsonObject): ResponsePart {
  return readUpstream(() => partFrom(request, answer));
}

function partFrom(request: InferenceRequest, answer: JsonObject): ResponsePart {
  const whole = withoutPromptIds(request, withoutHandoff(answer));
  if (!request.stream) return jsonPart(whole);
  return bytesPart(Buffer.concat([...streamEvents(request, whole).map(sseEvent), SSE_DONE]));
}

/**
 * TensorRT-LLM's context server tells the ids of the prompt to save the generation server making them (`openai_protocol`),
 * vLLM to those who ask.
 */
function withoutPromptIds({ body }: InferenceRequest, answer: JsonObject): JsonObject {
  const { prompt_token_ids: ids, ...others } = answer;
  return isGiven(ids) && body['return_token_ids'] !== true ? others : answer;
}

function streamEvents(request: InferenceRequest, answer: JsonObject): JsonObject[] {
  const form = ANSWER_FORMS[request.api];
  const head = form.head(answer);
  const events = choicesOf(answer)
    .flatMap((choice) => form.deltas(choice))
    .map((delta, index) => ({ ...head, ...(index === 0 && onlyFirst(answer)), choices: [delta] }));
  const { usage } = answer;
  return wantsUsage(request) && isJsonObject(usage) ? [...events, { ...head, choices: [], usage }] : events;
}

/** What a stream says once. Source: vLLM `token_in_token_out/protocol.py`. */
function onlyFirst(answer: JsonObject): JsonObject {
  const fields = ['prompt_logprobs', 'prompt_token_ids', 'mm_placeholders'];
  return Object.fromEntries(fields.flatMap((field) => (isGiven(answer[field]) ? [[field, answer[field]]] : [])));
}

const isGiven = (value: unknown): boolean => value !== undefined && value !== null;

function wantsUsage({ body }: InferenceRequest): boolean {
  const options = body['stream_options'];
  return isJsonObject(options) && options['include_usage'] === true;
}
