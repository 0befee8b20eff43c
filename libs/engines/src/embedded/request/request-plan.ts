import {
  InferenceError,
  expectObject,
  invalidRequest,
  kvTransferParams,
  type InferenceRequest,
  type JsonObject,
} from '@baton/inference';
import { BodyFields } from './body-fields.js';
import { assertOwnConnector, readHandoffTicket, type HandoffTicket } from '../handoff/handoff-ticket.js';
import type { PromptReader } from './prompt.js';
import { readSampling, type Sampling } from './sampling.js';
import { readStopConditions, type StopConditions } from './stop-conditions.js';

/** What of a request is computed here: all, the prompt for somebody else, or the answer to a prompt of somebody else. */
export type LegPlan =
  | { readonly kind: 'whole' }
  | { readonly kind: 'prefill' }
  | { readonly kind: 'decode'; readonly ticket: HandoffTicket };

/** A request, checked and in the engine's own terms. */
export interface RequestPlan {
  readonly leg: LegPlan;
  readonly prompt: readonly number[];
  /** Choices to generate (`n`). */
  readonly choices: number;
  readonly sampling: Sampling;
  readonly stop: StopConditions;
  readonly maxTokens: number;
  /** Before this many tokens, nothing stops a choice. */
  readonly minTokens: number;
  /** Best candidates to tell the log probability of; undefined when not asked for. */
  readonly logprobs: number | undefined;
  /** Whether the answer begins with the prompt's text (completions). */
  readonly echo: boolean;
  /** Whether a stream ends with a usage event. */
  readonly includeUsage: boolean;
}

/** What a plan needs to know of the engine. */
export interface PlanContext {
  readonly modelName: string;
  readonly contextTokens: number;
  readonly vocabularySize: number;
  readonly prompts: PromptReader;
}

export const MOST_CHOICES = 8;
/** OpenAI's default for completions. */
const COMPLETION_TOKENS = 16;

/**
 * Checks a request completely and plans it.
 *
 * @throws InferenceError 404 for another model, 400 for all else, with the field at fault in `param`.
 */
export function planRequest(request: InferenceRequest, context: PlanContext): RequestPlan {
  const { api, body } = request;
  const top = new BodyFields(body);
  checkModel(top, context.modelName);
  const leg = readLeg(request);
  const isGenerate = api === 'generate';
  const fields = isGenerate
    ? new BodyFields(expectObject(body['sampling_params'], 'sampling_params'), 'sampling_params.')
    : top;
  refuseUnsupported(fields, top);

  const choices = readChoices(fields, leg);
  const sampling = readSampling(fields, context.vocabularySize);
  const stop = readStopConditions(fields, context.vocabularySize);
  if (isGenerate && stop.strings.length > 0) {
    throw invalidRequest(
      'This endpoint answers in tokens; use stop_token_ids.',
      fields.path('stop'),
      'unsupported_parameter',
    );
  }
  const minTokens = fields.number('min_tokens', { min: 0, integer: true }) ?? 0;
  const limit = readTokenLimit(fields, api === 'chat');
  const logprobs = readLogprobs(fields, api);
  const echo = api === 'completions' && (top.boolean('echo') ?? false);
  if (echo && logprobs !== undefined) {
    throw invalidRequest('echo cannot be combined with logprobs.', 'logprobs', 'unsupported_parameter');
  }
  const includeUsage = readIncludeUsage(top, request.stream);

  const prompt = context.prompts.read(api, body);
  const room = context.contextTokens - prompt.length;
  if (room < 1) throw tooLong(PROMPT_FIELDS[api], `The prompt has ${prompt.length} tokens`, context.contextTokens);
  const wanted = limit?.value ?? (api === 'completions' ? Math.min(COMPLETION_TOKENS, room) : room);
  if (wanted > room) {
    throw tooLong(
      limit?.param ?? null,
      `The prompt has ${prompt.length} tokens and ${wanted} more are asked for`,
      context.contextTokens,
    );
  }
  if (minTokens > wanted) {
    throw invalidRequest(
      `${fields.path('min_tokens')} must be at most max_tokens (${wanted}).`,
      fields.path('min_tokens'),
    );
  }
  return { leg, prompt, choices, sampling, stop, maxTokens: wanted, minTokens, logprobs, echo, includeUsage };
}

const PROMPT_FIELDS = { completions: 'prompt', chat: 'messages', generate: 'token_ids' } as const;

/** @throws InferenceError 404 when the request names a model that is not served here. */
export function checkModel(fields: BodyFields, modelName: string): void {
  const model = fields.string('model');
  if (model === undefined || model === modelName) return;
  throw new InferenceError(`The model "${model}" does not exist here; this instance serves "${modelName}".`, {
    status: 404,
    param: 'model',
    code: 'model_not_found',
  });
}

function readLeg(request: InferenceRequest): LegPlan {
  const params: JsonObject = kvTransferParams(request.body) ?? {};
  if (params['do_remote_decode'] === true) {
    assertOwnConnector(params);
    if (request.stream) throw invalidRequest('A prefill leg cannot be streamed.', 'stream');
    return { kind: 'prefill' };
  }
  if (params['do_remote_prefill'] === true) return { kind: 'decode', ticket: readHandoffTicket(params) };
  return { kind: 'whole' };
}

function refuseUnsupported(fields: BodyFields, top: BodyFields): void {
  const isEmpty = (value: unknown): boolean => Array.isArray(value) && value.length === 0;
  const isWord = (word: string) => (value: unknown) => value === word;
  top.refuse('suffix', 'suffix is not supported.', isWord(''));
  top.refuse('tools', 'tools are not supported.', isEmpty);
  top.refuse('functions', 'functions are not supported.', isEmpty);
  top.refuse('tool_choice', 'tool_choice is not supported.', isWord('none'));
  top.refuse('response_format', 'Only the response_format {"type":"text"} is supported.', isText);
  top.refuse('output_mode', 'Only the output_mode "tokens" is supported.', isWord('tokens'));
  fields.refuse('structured_outputs', 'structured_outputs are not supported.');
  fields.refuse('prompt_logprobs', 'prompt_logprobs are not supported.', (value) => value === 0);
}

function isText(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'type' in value && value.type === 'text';
}

function readChoices(fields: BodyFields, leg: LegPlan): number {
  const choices = fields.number('n', { min: 1, max: MOST_CHOICES, integer: true }) ?? 1;
  const bestOf = fields.number('best_of', { min: 1, integer: true });
  if (bestOf !== undefined && bestOf !== choices) {
    throw invalidRequest('best_of must equal n.', fields.path('best_of'), 'unsupported_parameter');
  }
  if (leg.kind !== 'whole' && choices > 1) throw invalidRequest('A leg has exactly one choice.', fields.path('n'));
  return choices;
}

/** The token limit with the field that it came from; `max_completion_tokens` is OpenAI's newer name in chats. */
function readTokenLimit(fields: BodyFields, isChat: boolean): { value: number; param: string } | undefined {
  const rule = { min: 1, integer: true };
  const old = fields.number('max_tokens', rule);
  const newer = isChat ? fields.number('max_completion_tokens', rule) : undefined;
  if (newer !== undefined) return { value: newer, param: fields.path('max_completion_tokens') };
  return old === undefined ? undefined : { value: old, param: fields.path('max_tokens') };
}

function readLogprobs(fields: BodyFields, api: InferenceRequest['api']): number | undefined {
  if (api !== 'chat') return fields.number('logprobs', { min: 0, max: api === 'generate' ? 20 : 5, integer: true });
  const isWanted = fields.boolean('logprobs') ?? false;
  const top = fields.number('top_logprobs', { min: 0, max: 20, integer: true });
  if (top !== undefined && top > 0 && !isWanted)
    throw invalidRequest('top_logprobs needs logprobs to be true.', 'top_logprobs');
  return isWanted ? (top ?? 0) : undefined;
}

function readIncludeUsage(top: BodyFields, stream: boolean): boolean {
  const options = top.object('stream_options');
  if (options === undefined) return false;
  if (!stream) throw invalidRequest('stream_options need stream to be true.', 'stream_options');
  return new BodyFields(options, 'stream_options.').boolean('include_usage') ?? false;
}

function tooLong(param: string | null, what: string, contextTokens: number): InferenceError {
  return invalidRequest(`${what}; the context holds ${contextTokens}.`, param, 'context_length_exceeded');
}
