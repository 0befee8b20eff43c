import { isJsonObject, RawJson, type JsonObject } from '@baton/inference';
import { LimitsConfig } from '../config/limits-config.js';
import { refuse } from '../dto/fields/checks.js';
import { textSize } from './text-size.js';

/** Lists that are looked through at every token. */
const LISTS = ['stop_token_ids', 'bad_words', 'logprob_token_ids'];
const MAX_LIST = 1_024;

/** What an answer may be made to follow, under the names of the servers of the field. */
const GRAMMARS = [
  ...['response_format', 'structured_outputs', 'guided_json', 'guided_regex', 'guided_grammar', 'guided_choice'],
  ...['guided_whitespace_pattern', 'structural_tag', 'json_schema', 'regex', 'ebnf', 'grammar'],
];

/** A template's own variables, not its arguments: with them a server did what only it may choose (CVE-2025-62426 of vLLM). */
const NO_TEMPLATE_ARGUMENTS = ['chat_template', 'tokenize', 'return_tensors', 'return_dict'];

/**
 * Checks what the body of an inference request asks for against `limits`, whatever its api: the fields have the same names
 * in all, and the token endpoint has them in `sampling_params`. What is not of its type is for other checks to refuse.
 *
 * @throws InferenceError 400 that names the field.
 */
export function checkLimits(body: JsonObject, limits: LimitsConfig): void {
  checkSampling(body, '', limits);
  const sampling = body['sampling_params'];
  if (isJsonObject(sampling)) checkSampling(sampling, 'sampling_params.', limits);
  const choices = Math.max(...[body, isJsonObject(sampling) ? sampling : {}].flatMap(choicesOf));
  const sequences = promptCount(body['prompt']) * choices;
  if (sequences > limits.sequences) refuse('prompt', `must not ask for more than ${limits.sequences} answers in all`);
  checkTemplate(body, limits);
}

/**
 * Checks the chat template that a client brings, and its arguments.
 *
 * @throws InferenceError 400 that names the field.
 */
export function checkTemplate(body: JsonObject, { templateLength }: LimitsConfig = new LimitsConfig()): void {
  for (const field of ['chat_template', 'chat_template_kwargs']) atMost(body[field], field, templateLength);
  const kwargs = body['chat_template_kwargs'];
  if (!isJsonObject(kwargs)) return;
  for (const name of NO_TEMPLATE_ARGUMENTS) {
    if (Object.hasOwn(kwargs, name)) refuse(`chat_template_kwargs.${name}`, 'is not an argument of a template');
  }
}

function checkSampling(fields: JsonObject, at: string, limits: LimitsConfig): void {
  for (const field of ['n', 'best_of']) notAbove(fields[field], `${at}${field}`, limits.n);
  for (const field of ['max_tokens', 'max_completion_tokens', 'min_tokens']) {
    notAbove(fields[field], `${at}${field}`, limits.maxTokens);
  }
  for (const field of ['logprobs', 'top_logprobs', 'prompt_logprobs']) {
    if (limits.logprobs < 0) break;
    const count = fields[field];
    if (count === -1) refuse(`${at}${field}`, `must not be -1: at most ${limits.logprobs} are given`);
    notAbove(count, `${at}${field}`, limits.logprobs);
  }
  const { stop, logit_bias: bias } = fields;
  if (Array.isArray(stop) && stop.length > limits.stopStrings) {
    refuse(`${at}stop`, `must not have more than ${limits.stopStrings} strings`);
  }
  if (isJsonObject(bias) && Object.keys(bias).length > limits.logitBias) {
    refuse(`${at}logit_bias`, `must not name more than ${limits.logitBias} tokens`);
  }
  for (const field of LISTS) {
    const list = fields[field];
    if ((Array.isArray(list) || list instanceof RawJson) && list.length > MAX_LIST) {
      refuse(`${at}${field}`, `must not have more than ${MAX_LIST} items`);
    }
  }
  for (const field of GRAMMARS) atMost(fields[field], `${at}${field}`, limits.grammarLength);
}

function notAbove(value: unknown, path: string, most: number): void {
  if ((typeof value === 'number' || typeof value === 'bigint') && value > most) refuse(path, `must be at most ${most}`);
}

function atMost(value: unknown, path: string, length: number): void {
  if (value === undefined || value === null) return;
  if (textSize(value, length) > length + 1) refuse(path, `must not be longer than ${length} characters`);
}

function choicesOf(fields: JsonObject): number[] {
  return [1, fields['n'], fields['best_of']].filter((count) => typeof count === 'number');
}

/** Several prompts are texts, or lists of token ids. */
function promptCount(prompt: unknown): number {
  return Array.isArray(prompt) && typeof prompt[0] !== 'number' ? prompt.length : 1;
}
