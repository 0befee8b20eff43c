import {
  isJsonObject,
  type AnswerLead,
  type InferenceApi,
  type InferenceRequest,
  type JsonObject,
  type PrefillShare,
} from '@baton/inference';

/** What of P's answer is the client's in every protocol: how the prompt was counted, and what it asked of the prompt. */
export function sharedAnswer(request: InferenceRequest, answer: JsonObject): PrefillShare {
  const usage = answer['usage'];
  const promptLogprobs = asksForPromptLogprobs(request) ? promptLogprobsOf(request.api, answer) : undefined;
  const lead = ECHOES[request.api]?.(request.body, answer);
  return {
    ...(isJsonObject(usage) ? { usage } : {}),
    ...(promptLogprobs === undefined ? {} : { promptLogprobs }),
    ...(lead === undefined ? {} : { lead }),
  };
}

/** P's one token as the beginning of the client's answer; with an echo, the echo before it. */
export function firstTokenLead(request: InferenceRequest, answer: JsonObject): AnswerLead {
  const choice = choiceOf(answer);
  const logprobs = choice['logprobs'];
  // An echo may have needed log probabilities that the client did not ask for.
  const isWanted = isJsonObject(logprobs) && (request.api !== 'completions' || asksForLogprobs(request.body));
  return { ...LEADS[request.api](choice), ...(isWanted ? { logprobs } : {}), completionTokens: 1 };
}

const LEADS: Readonly<Record<InferenceApi, (choice: JsonObject) => Pick<AnswerLead, 'text' | 'tokenIds'>>> = {
  completions: (choice) => ({ text: textOf(choice['text']) }),
  chat: (choice) => ({ text: textOf(messageOf(choice)['content']) }),
  generate: (choice) => ({ tokenIds: listOf(choice['token_ids']).filter((id) => typeof id === 'number') }),
};

/** Where an api echoes the prompt. */
const ECHOES: Readonly<
  Partial<Record<InferenceApi, (body: JsonObject, answer: JsonObject) => AnswerLead | undefined>>
> = { completions: echoOfPrompt, chat: echoOfMessage };

/**
 * P's text is the prompt and the tokens that P has made. A prompt of tokens or in a list ends where the text offset of the
 * first of those is; without offsets nobody can tell, and the client gets no echo.
 */
function echoOfPrompt(body: JsonObject, answer: JsonObject): AnswerLead | undefined {
  if (body['echo'] !== true) return undefined;
  const choice = choiceOf(answer);
  const found = choice['logprobs'];
  const logprobs = isJsonObject(found) ? found : {};
  const offsets = listOf(logprobs['text_offset']);
  const echoed = offsets.length - madeTokens(answer);
  const end = offsets[echoed];
  const text = typeof body['prompt'] === 'string' ? body['prompt'] : beginning(textOf(choice['text']), end);
  if (text === undefined) return undefined;
  return {
    text,
    completionTokens: 0,
    ...(isJsonObject(found) && asksForLogprobs(body) ? { logprobs: firstItems(logprobs, echoed) } : {}),
  };
}

/**
 * vLLM's chat answers an echo with the content of the last message, when that is of the role that answers. A server that
 * does not know of it has not, which its text shows.
 */
function echoOfMessage(body: JsonObject, answer: JsonObject): AnswerLead | undefined {
  const last = listOf(body['messages']).at(-1);
  if (body['echo'] !== true || !isJsonObject(last)) return undefined;
  const text = textOf(last['content']);
  const hasEchoed = text !== '' && textOf(messageOf(choiceOf(answer))['content']).startsWith(text);
  return hasEchoed ? { text, completionTokens: 0 } : undefined;
}

/** vLLM gives them with an echo that has log probabilities as well, also when that was only asked here. */
function asksForPromptLogprobs({ api, body }: InferenceRequest): boolean {
  const isOwnDoing = api === 'completions' && body['echo'] === true && !asksForLogprobs(body);
  return !isOwnDoing || isAsked(body['prompt_logprobs']);
}

/** Completions have them in the choice, chat and the token endpoint at the top level. */
function promptLogprobsOf(api: InferenceApi, answer: JsonObject): unknown {
  const found = (api === 'completions' ? choiceOf(answer) : answer)['prompt_logprobs'];
  return found ?? undefined;
}

const isAsked = (value: unknown): boolean => value !== undefined && value !== null;
const asksForLogprobs = (body: JsonObject): boolean => isAsked(body['logprobs']) && body['logprobs'] !== false;
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

function choiceOf(answer: JsonObject): JsonObject {
  const [choice] = listOf(answer['choices']);
  return isJsonObject(choice) ? choice : {};
}

function messageOf(choice: JsonObject): JsonObject {
  const message = choice['message'];
  return isJsonObject(message) ? message : {};
}

/** How many tokens P has made: one, unless its usage says otherwise. */
function madeTokens(answer: JsonObject): number {
  const usage = answer['usage'];
  const made = isJsonObject(usage) ? usage['completion_tokens'] : undefined;
  return typeof made === 'number' ? made : 1;
}

/** Each list of `logprobs` (tokens, token_logprobs, top_logprobs, text_offset) cut to `count` items. */
function firstItems(logprobs: JsonObject, count: number): JsonObject {
  return Object.fromEntries(
    Object.entries(logprobs).map(([name, value]) => [name, Array.isArray(value) ? value.slice(0, count) : value]),
  );
}

/** The first `count` characters as Python counts them, a pair of surrogates being one. */
function beginning(text: string, count: unknown): string | undefined {
  if (typeof count !== 'number') return undefined;
  if (!/[\ud800-\udbff]/.test(text)) return text.slice(0, count);
  return Array.from(text).slice(0, count).join('');
}
