import type { Api, Case } from './cases.js';
import { PATHS } from './cases.js';
import { isJson, listAt, objectAt, parseExactly, without, type Json } from './json.js';

/** An answer as it came. */
export interface Reading {
  readonly status: number;
  readonly headers: Headers;
  /** The data of each event, parsed but for `[DONE]`; of an answer that is not streamed its body alone. */
  readonly events: readonly unknown[];
}

/** Sends the request of a case and reads the whole answer. */
export async function send(
  url: string,
  { api, body }: Pick<Case, 'api' | 'body'>,
  headers: Readonly<Record<string, string>> = {},
): Promise<Reading> {
  const response = await fetch(url + PATHS[api], {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
  const events = isStream ? text.split('\n\n').slice(0, -1).map(dataOf) : [parseExactly(text)];
  return { status: response.status, headers: response.headers, events };
}

function dataOf(event: string): unknown {
  const data = /^data: (.*)$/.exec(event)?.[1];
  if (data === undefined) throw new Error(`Not an event: ${event}`);
  return data === '[DONE]' ? data : parseExactly(data);
}

/** An answer without what differs from one run of the same request to the next (ids, times). */
export function comparable(reading: Reading, { api, stream }: Pick<Case, 'api' | 'stream'>): Json {
  const { status, events } = reading;
  if (status !== 200) return { status, body: events[0] };
  return stream ? streamed(api, events) : whole(events[0]);
}

/** Fields that a split leaves out where an engine by itself says null: the client has no business with them. */
const HANDOFF = ['kv_transfer_params', 'disaggregated_params', 'ec_transfer_params'];
const VOLATILE = ['id', 'request_id', 'created', ...HANDOFF];

function whole(body: unknown): Json {
  if (!isJson(body)) return { body };
  const choices = listAt(body, 'choices').map((choice) => (isJson(choice) ? without(choice, ...HANDOFF) : choice));
  return { ...without(body, ...VOLATILE), choices, hasId: hasId(body), hasHandoff: hasHandoff(body) };
}

const hasId = (body: Json): boolean => typeof (body['id'] ?? body['request_id']) === 'string';

/** Null is how an engine says that there is none. */
function hasHandoff(body: Json): boolean {
  const holders = [body, ...listAt(body, 'choices').filter(isJson)];
  return holders.some((holder) => HANDOFF.some((field) => (holder[field] ?? null) !== null));
}

/** A stream put together, and what its order must be. */
function streamed(api: Api, events: readonly unknown[]): Json {
  const parsed = events.filter(isJson);
  const choices = parsed.flatMap((event) => listAt(event, 'choices').filter(isJson));
  const finishes = choices.filter((choice) => (choice['finish_reason'] ?? null) !== null);
  const last = finishes[0] ?? {};
  const usages = parsed.filter((event) => isJson(event['usage']));
  const heads = parsed.map((event) => JSON.stringify(['id', 'request_id', 'object', 'model'].map((key) => event[key])));
  return {
    ends: {
      withDone: events.at(-1) === '[DONE]',
      dones: events.filter((event) => event === '[DONE]').length,
      others: events.length - parsed.length,
    },
    // All events are of one answer.
    ids: new Set(heads).size,
    object: parsed[0]?.['object'],
    model: parsed[0]?.['model'],
    roles: choices
      .map((choice, at) => [at, objectAt(choice, 'delta')['role']])
      .filter(([, role]) => role !== undefined),
    text: choices.map((choice) => textOf(api, choice)).join(''),
    tokenIds: choices.flatMap((choice) => listAt(choice, 'token_ids')),
    logprobs: joined(choices.map((choice) => objectAt(choice, 'logprobs'))),
    finishes: finishes.length,
    finishIsLast: choices.at(-1) === last,
    finish: last['finish_reason'],
    stop: last['stop_reason'] ?? null,
    usage: usages.at(-1)?.['usage'] ?? null,
    // A chunk of its own, behind everything else.
    usageIsAlone: parsed.slice(0, -1).every((event) => listAt(event, 'choices').length > 0),
    usageComesLast: usages.length === 0 || usages.at(-1) === parsed.at(-1),
    promptTokens: [...new Set(usages.map((event) => objectAt(event, 'usage')['prompt_tokens']))],
    promptIds: parsed.map((event) => listAt(event, 'prompt_token_ids')).find((ids) => ids.length > 0) ?? [],
    hasHandoff: parsed.some(hasHandoff),
    hasError: parsed.some((event) => event['error'] !== undefined),
  };
}

function textOf(api: Api, choice: Json): string {
  const text = api === 'chat' ? objectAt(choice, 'delta')['content'] : choice['text'];
  return typeof text === 'string' ? text : '';
}

/** Lists of the same name behind one another. */
function joined(pieces: readonly Json[]): Json {
  const names = [...new Set(pieces.flatMap((piece) => Object.keys(piece)))];
  return Object.fromEntries(names.map((name) => [name, pieces.flatMap((piece) => listAt(piece, name))]));
}
