import {
  eventData,
  eventsIn,
  firstChoice,
  isJsonObject,
  parseData,
  type InferenceRequest,
  type JsonObject,
  type ResponsePart,
} from '@baton/inference';

const MODEL = 'fake-model';
const PROMPT_TOKENS = 3;
/** Of the api for tokens: an id for each, so that an answer can be read back. */
const FIRST_TOKEN_ID = 1_000;

/** A whole answer of `tokens`. */
export function wholeOf(leg: InferenceRequest, tokens: readonly string[], finish: string): JsonObject {
  const content = tokens.join('');
  const usage = {
    prompt_tokens: PROMPT_TOKENS,
    completion_tokens: tokens.length,
    total_tokens: PROMPT_TOKENS + tokens.length,
  };
  const end = { index: 0, finish_reason: finish };
  if (leg.api === 'generate') {
    return {
      request_id: leg.id,
      choices: [{ ...end, token_ids: tokens.map((_, at) => FIRST_TOKEN_ID + at), text: content }],
      usage,
    };
  }
  const choice = leg.api === 'chat' ? { ...end, message: { role: 'assistant', content } } : { ...end, text: content };
  return { id: leg.id, object: leg.api, model: MODEL, choices: [choice], usage };
}

/** One event of a stream. */
export function tokenEvent(leg: InferenceRequest, token: string, finish: string | null): JsonObject {
  const end = { index: 0, finish_reason: finish };
  if (leg.api === 'chat') {
    return {
      id: leg.id,
      object: 'chat.completion.chunk',
      model: MODEL,
      choices: [{ ...end, delta: { content: token } }],
    };
  }
  return { id: leg.id, model: MODEL, choices: [{ ...end, text: token }] };
}

/** What a client reads in an answer. */
export interface ReadAnswer {
  readonly text: string;
  /** Of the last choice that says one. */
  readonly finish: string | undefined;
  /** Whether a stream has its end mark, and nothing behind it; true for a whole answer. */
  readonly isEnded: boolean;
}

/** Reads an answer as a client does. */
export function readParts(parts: readonly ResponsePart[]): ReadAnswer {
  const bytes = Buffer.concat(parts.map((part) => (part.kind === 'bytes' ? part.bytes : new Uint8Array())));
  const whole = parts.flatMap((part) => (part.kind === 'json' ? [part.body] : []));
  const data = eventsIn(bytes).map(eventData);
  const events = data
    .flatMap((text) => (text === undefined ? [] : [parseData(text)]))
    .filter((event) => event !== undefined);
  const choices = [...whole, ...events].map(firstChoice).filter((choice) => choice !== undefined);
  const finish = choices.map((choice) => choice['finish_reason']).filter((reason) => typeof reason === 'string');
  const marks = data.filter((text) => text === '[DONE]').length;
  const isEnded = whole.length > 0 ? whole.length === 1 && bytes.length === 0 : marks === 1 && data.at(-1) === '[DONE]';
  return { text: choices.map(textOf).join(''), finish: finish.at(-1), isEnded };
}

function textOf({ text, delta, message }: JsonObject): string {
  const holder = isJsonObject(delta) ? delta : isJsonObject(message) ? message : { content: text };
  return typeof holder['content'] === 'string' ? holder['content'] : '';
}
