import { isJsonObject, RawJson, type JsonObject, type JsonValue } from '@baton/inference';
import type { RedactedBody } from './request-record.js';

/** What a record may still hold; shared by everything that is put into it. */
export class RecordBudget {
  /** What was left out because it did not fit. */
  omitted = 0;

  /** @param left characters of keys and values. */
  constructor(private left: number) {}

  /** Whether `size` fits; counts it, or counts it as left out. */
  takes(size: number): boolean {
    if (size > this.left) {
      this.omitted += 1;
      return false;
    }
    this.left -= size;
    return true;
  }
}

/**
 * A copy of `body` that may be shown to an operator: everything that is, or could be, of a prompt or of what is generated is
 * replaced by its size; numbers, booleans and short identifiers stay. Shares nothing with `body`, and does not look into what it
 * replaces.
 */
export function redacted(body: JsonObject, budget: RecordBudget): RedactedBody {
  return fields(body, budget, { depth: 0, isHandoff: false });
}

interface Place {
  readonly depth: number;
  /** Within what names a handoff, where longer identifiers are usual: addresses, ids of engines. */
  readonly isHandoff: boolean;
}

function fields(holder: JsonObject, budget: RecordBudget, place: Place): Record<string, JsonValue> {
  const kept: Record<string, JsonValue> = {};
  let count = 0;
  for (const key of Object.keys(holder)) {
    count += 1;
    if (count > MAX_FIELDS) {
      budget.omitted += 1;
      break;
    }
    if (!NAME.test(key)) {
      budget.omitted += 1;
      continue;
    }
    const value = shown(key, holder[key], budget, place);
    if (value !== undefined && budget.takes(key.length + sizeOf(value))) kept[key] = value;
  }
  return kept;
}

function shown(key: string, value: unknown, budget: RecordBudget, place: Place): JsonValue | undefined {
  switch (typeof value) {
    case 'boolean':
      return value;
    case 'number':
      return ONE_TOKEN.test(key) ? mark(1, 'tokens') : value;
    case 'bigint':
      // As text: what a `number` cannot hold exactly, most readers of JSON cannot either.
      return String(value);
    case 'string':
      return isShown(key, value, place) ? value : mark(Buffer.byteLength(value), 'bytes');
    case 'object':
      return value === null ? null : nested(key, value, budget, place);
    default:
      return undefined;
  }
}

function isShown(key: string, value: string, { isHandoff }: Place): boolean {
  if (isHandoff) return value.length <= LONGEST_HANDOFF_ID && IDENTIFIER.test(value);
  return value.length <= LONGEST_ID && !CONTENT.has(key) && IDENTIFIER.test(value);
}

function nested(key: string, value: object, budget: RecordBudget, place: Place): JsonValue {
  if (value instanceof RawJson) return mark(value.length, 'tokens');
  if (Array.isArray(value)) return list(key, value, budget, place);
  if (!isJsonObject(value)) return '[redacted]';
  const isHandoff = place.isHandoff || HANDOFF.has(key);
  if (CONTENT.has(key) || place.depth >= MAX_DEPTH) return '[redacted: an object]';
  // What names a handoff may lie deep, and is not deep itself.
  const depth = isHandoff && !place.isHandoff ? 0 : place.depth + 1;
  return fields(value, budget, { depth, isHandoff });
}

function list(key: string, value: readonly unknown[], budget: RecordBudget, place: Place): JsonValue {
  if (TOKENS.test(key)) return mark(value.length, 'tokens');
  if (CONTENT.has(key)) return mark(value.length, typeof value[0] === 'number' ? 'tokens' : (WHAT[key] ?? 'items'));
  if (value.length > MAX_ITEMS || place.depth >= MAX_DEPTH) return mark(value.length, 'items');
  const inner = { ...place, depth: place.depth + 1 };
  return value.map((item) => {
    const kept = shown(key, item, budget, inner) ?? null;
    return budget.takes(sizeOf(kept)) ? kept : null;
  });
}

/** Of what was counted when it was put together, nothing is counted again. */
function sizeOf(value: JsonValue): number {
  return typeof value === 'string' ? value.length + OVERHEAD : OVERHEAD;
}

function mark(count: number, unit: string): string {
  return `[redacted: ${grouped(count)} ${count === 1 ? unit.slice(0, -1) : unit}]`;
}

const grouped = (count: number): string =>
  count < 1_000 ? String(count) : String(count).replace(/\B(?=(?:\d{3})+$)/g, ',');

const [MAX_FIELDS, MAX_ITEMS, MAX_DEPTH, OVERHEAD] = [64, 16, 4, 8];
const [LONGEST_ID, LONGEST_HANDOFF_ID] = [64, 256];

/** What a field of an API is named. Others may be anything, also a text. */
const NAME = /^[A-Za-z_][\w.-]{0,63}$/;
/** A name, an id, an address: prose has spaces. */
const IDENTIFIER = /^[\w.:/@+,=[\]-]*$/;
/** Lists of tokens under whatever name; none of them is needed to see how a request was edited. */
const TOKENS = /tok(?:en)?(?:s|_ids|_id_list)?$/i;
/** A token that was generated, as some protocols hand it over. */
const ONE_TOKEN = /(?:^|_)tok(?:en)?(?:_id)?$/i;

/** Fields of the request protocols, and of their extensions, that hold what users and applications have written. */
const CONTENT: ReadonlySet<string> = new Set([
  ...['prompt', 'prompts', 'messages', 'message', 'content', 'text', 'texts', 'input', 'inputs', 'input_ids', 'suffix'],
  ...['token_ids', 'prompt_token_ids', 'prompt_embeds', 'input_embeds', 'documents', 'query', 'echo_text', 'prefix'],
  ...['images', 'image', 'image_url', 'image_data', 'audio', 'video', 'file', 'files', 'multi_modal_data', 'features'],
  ...[
    'tools',
    'functions',
    'tool_calls',
    'function_call',
    'arguments',
    'tool_choice',
    'prediction',
    'reasoning_content',
  ],
  ...['response_format', 'json_schema', 'schema', 'regex', 'ebnf', 'grammar', 'structural_tag', 'structured_outputs'],
  ...['guided_json', 'guided_regex', 'guided_grammar', 'guided_choice', 'chat_template', 'chat_template_kwargs'],
  ...['stop', 'bad_words', 'logit_bias', 'metadata', 'user', 'safety_identifier', 'prompt_cache_key', 'cache_salt'],
  ...['api_key', 'authorization', 'key', 'password', 'secret', 'token', 'access_token'],
]);
const WHAT: Readonly<Record<string, string>> = { messages: 'messages', tools: 'tools', images: 'images' };

/** Fields that name a handoff. */
const HANDOFF: ReadonlySet<string> = new Set([
  ...['kv_transfer_params', 'ec_transfer_params', 'disaggregated_params', 'disagg_prefill_resp'],
  ...['remote_prefiller', 'remote_decoder', 'lmcache'],
]);
