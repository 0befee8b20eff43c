import { isJsonObject, RawJson, type JsonObject, type JsonValue } from '@baton/inference';
import { fieldKind, type FieldKind } from './field-kinds.js';
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
 * replaced by its size. Numbers and booleans stay, and texts where identifiers are expected: in what names a handoff, and under
 * a few known names. Shares nothing with `body`, and does not look into what it replaces.
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
    const kind = fieldKind(key);
    if (!kind.isName) {
      budget.omitted += 1;
      continue;
    }
    const value = shown(key, kind, holder[key], budget, place);
    if (value !== undefined && budget.takes(key.length + sizeOf(value))) kept[key] = value;
  }
  return kept;
}

function shown(
  key: string,
  kind: FieldKind,
  value: unknown,
  budget: RecordBudget,
  place: Place,
): JsonValue | undefined {
  switch (typeof value) {
    case 'boolean':
      return value;
    case 'number':
      return kind.isToken ? mark(1, 'tokens') : value;
    case 'bigint':
      // As text: what a `number` cannot hold exactly, most readers of JSON cannot either.
      return String(value);
    case 'string':
      return isShown(kind, value, place) ? value : mark(Buffer.byteLength(value), 'bytes');
    case 'object':
      return value === null ? null : nested(key, kind, value, budget, place);
    default:
      return undefined;
  }
}

function isShown(kind: FieldKind, value: string, { isHandoff }: Place): boolean {
  if (isHandoff) return value.length <= LONGEST_HANDOFF_ID && IDENTIFIER.test(value);
  return kind.isIdentifier && value.length <= LONGEST_ID && IDENTIFIER.test(value);
}

function nested(key: string, kind: FieldKind, value: object, budget: RecordBudget, place: Place): JsonValue {
  if (value instanceof RawJson) return mark(value.length, 'tokens');
  if (Array.isArray(value)) return list(key, kind, value, budget, place);
  if (!isJsonObject(value)) return '[redacted]';
  const isHandoff = place.isHandoff || kind.isHandoff;
  if (kind.isContent || place.depth >= MAX_DEPTH) return '[redacted: an object]';
  // What names a handoff may lie deep, and is not deep itself.
  const depth = isHandoff && !place.isHandoff ? 0 : place.depth + 1;
  return fields(value, budget, { depth, isHandoff });
}

function list(key: string, kind: FieldKind, value: readonly unknown[], budget: RecordBudget, place: Place): JsonValue {
  if (kind.isTokens) return mark(value.length, 'tokens');
  if (kind.isContent) return mark(value.length, typeof value[0] === 'number' ? 'tokens' : (WHAT[key] ?? 'items'));
  if (!place.isHandoff || value.length > MAX_ITEMS || place.depth >= MAX_DEPTH) return mark(value.length, 'items');
  const inner = { ...place, depth: place.depth + 1 };
  return value.map((item) => {
    const kept = shown(key, kind, item, budget, inner) ?? null;
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

/** A name, an id, an address: prose has spaces. */
const IDENTIFIER = /^[\w.:/@+,=[\]-]*$/;
const WHAT: Readonly<Record<string, string>> = { messages: 'messages', tools: 'tools', images: 'images' };
