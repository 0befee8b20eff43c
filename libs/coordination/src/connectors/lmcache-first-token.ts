import {
  isJsonObject,
  kvTransferParams,
  RawJson,
  type InferenceApi,
  type InferenceRequest,
  type JsonObject,
} from '@baton/inference';
import { editSampling } from './leg-edits.js';

/** P's token, as the protocol that hands it over knows it. */
export interface FirstToken {
  readonly id: number;
  /** Of completions and chat; empty when it does not stand for text by itself. */
  readonly text: string;
}

/** The token that P's answer hands over; undefined when it hands over none. */
export function firstTokenOf(answer: JsonObject): FirstToken | undefined {
  const id = kvTransferParams(answer)?.['first_tok'];
  if (typeof id !== 'number') return undefined;
  const choices: readonly unknown[] = Array.isArray(answer['choices']) ? answer['choices'] : [];
  const [choice] = choices;
  const holder = isJsonObject(choice) && isJsonObject(choice['message']) ? choice['message']['content'] : undefined;
  const text = holder ?? (isJsonObject(choice) ? choice['text'] : undefined);
  return { id, text: typeof text === 'string' ? text : '' };
}

/**
 * Whether D can go on after `first`: it knows neither its text nor that it is part of the answer. So not where D looks at
 * the answer from its beginning (tools, structured output, stop strings, penalties) or says where that is (the ids of the
 * prompt), and not when the token is no whole text (a part of a character, of reasoning, of a tool call), to which D could
 * add nothing that fits.
 */
export function continues({ api, body }: InferenceRequest, first: unknown): first is FirstToken {
  if (!isFirstToken(first)) return false;
  const sampling = body['sampling_params'];
  const holders = [body, isJsonObject(sampling) ? sampling : {}];
  if (holders.some((holder) => FROM_BEGINNING.some((field) => isSet(holder[field])))) return false;
  if (api === 'generate') return body['output_mode'] !== 'text';
  return first.text !== '' && !first.text.includes('\ufffd');
}

function isFirstToken(value: unknown): value is FirstToken {
  return isJsonObject(value) && typeof value['id'] === 'number' && typeof value['text'] === 'string';
}

const FROM_BEGINNING = [
  ...['tools', 'functions', 'response_format', 'structured_outputs', 'guided_json', 'guided_regex'],
  ...['guided_choice', 'guided_grammar', 'stop', 'presence_penalty', 'frequency_penalty', 'echo', 'return_token_ids'],
];

function isSet(value: unknown): boolean {
  return Boolean(value) && !(Array.isArray(value) && value.length === 0);
}

/** D's body with `first` at the end of what it reads, and one token less to make. */
export function continueFrom(api: InferenceApi, body: JsonObject, first: FirstToken): JsonObject {
  return editSampling(api, CONTINUATIONS[api](body, first), (sampling) => {
    // What completions get when they do not say: the default of OpenAI's API, which vLLM has too.
    if (api === 'completions' && !('max_tokens' in sampling)) sampling['max_tokens'] = 16;
    for (const field of ['max_tokens', 'max_completion_tokens', 'min_tokens']) {
      const limit = sampling[field];
      if (typeof limit === 'number') sampling[field] = Math.max(0, limit - 1);
    }
  });
}

const CONTINUATIONS: Readonly<Record<InferenceApi, (body: JsonObject, first: FirstToken) => JsonObject>> = {
  completions: (body, { id }) => ({ ...body, prompt: appended(onlyPrompt(body['prompt']), id) }),
  generate: (body, { id }) => ({ ...body, token_ids: appended(body['token_ids'], id) }),
  chat: (body, { text }) => ({
    ...body,
    messages: continued(body, text),
    continue_final_message: true,
    add_generation_prompt: false,
  }),
};

/** One prompt may come in a list of its own. */
function onlyPrompt(prompt: unknown): unknown {
  return Array.isArray(prompt) && prompt.length === 1 && typeof prompt[0] !== 'number' ? prompt[0] : prompt;
}

function appended(ids: unknown, id: number): unknown {
  if (ids instanceof RawJson) {
    const open = ids.bytes.subarray(0, ids.bytes.lastIndexOf(0x5d)); // without its closing bracket
    return new RawJson(Buffer.concat([open, Buffer.from(`,${id}]`)]), ids.length + 1);
  }
  return Array.isArray(ids) ? [...(ids as readonly unknown[]), id] : ids;
}

/** The messages with what the assistant has said so far: more of its last message if the client began that, else a new one. */
function continued(body: JsonObject, text: string): unknown {
  const messages: readonly unknown[] = Array.isArray(body['messages']) ? body['messages'] : [];
  const last = messages.at(-1);
  if (body['continue_final_message'] !== true || !isJsonObject(last)) {
    return [...messages, { role: 'assistant', content: text }];
  }
  const said = last['content'];
  const content = Array.isArray(said)
    ? [...(said as readonly unknown[]), { type: 'text', text }]
    : `${typeof said === 'string' ? said : ''}${text}`;
  return [...messages.slice(0, -1), { ...last, content }];
}
