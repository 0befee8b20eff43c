import { notAllowed, type Fault } from './fault.js';
import { mapFaults, REDACTED, shownMap, type Parts } from './map-faults.js';
import { isSection } from './section.js';
import { Setting } from './setting.js';

/** A key and its name: a map of a file, or `label:key` as a text. */
export type KeySetting =
  string | { readonly label: string; readonly key: string } | { readonly label: string; readonly sha256: string };

const MAX_KEYS = 256;
const LABEL = /^[a-z0-9-]{1,32}$/;
/** What a header can carry. Shorter keys could be guessed. */
const KEY = /^[\x21-\x7e]{16,512}$/;
const SHA256 = /^[0-9a-f]{64}$/;
const TEXT = /^(?<label>[^:]*):(?:sha256:(?<sha256>[^:]*)|(?<key>.*))$/;
/** The callers without a key have that label. */
const RESERVED = 'anonymous';

const matches = (pattern: RegExp) => (value: unknown) => typeof value === 'string' && pattern.test(value);
const KEY_PARTS: Parts = {
  label: {
    allowed: '1 to 32 of a-z, 0-9 and -, and not anonymous',
    isAllowed: (value) => matches(LABEL)(value) && value !== RESERVED,
    isRequired: true,
  },
  key: { allowed: '16 to 512 visible ASCII characters', isAllowed: matches(KEY), isSecret: true },
  sha256: { allowed: "the key's SHA-256 as 64 hex digits in lower case", isAllowed: matches(SHA256), isSecret: true },
};

/** A list of keys, each with a label. */
export function KeyList(description: string): PropertyDecorator {
  return Setting(
    {
      description: `${description}: label:key or label:sha256:hash, or in a file also maps of label and key or sha256`,
      allowed: `a list of at most ${MAX_KEYS} keys, each label:key or a map of label and key or sha256`,
      shown: shownKeys,
      faults: keyFaults,
    },
    (value) => Array.isArray(value) && value.length <= MAX_KEYS,
  );
}

/** The parts of a key in either form. */
export function partsOfKey(item: unknown): { label?: unknown; key?: unknown; sha256?: unknown } | undefined {
  if (isSection(item)) return { ...item };
  const groups = typeof item === 'string' ? TEXT.exec(item)?.groups : undefined;
  if (groups === undefined) return undefined;
  const { label, key, sha256 } = groups;
  return { label, ...(sha256 === undefined ? { key } : { sha256 }) };
}

function keyFaults(value: unknown): Fault[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((item: unknown, index) => {
    const at = `[${index}]`;
    const parts = partsOfKey(item);
    if (parts === undefined) return [{ at, problem: notAllowed(REDACTED, 'label:key, or a map') }];
    const faults = mapFaults(parts, KEY_PARTS, at);
    if (faults.length > 0 || (parts.key === undefined) !== (parts.sha256 === undefined)) return faults;
    return [{ at, problem: ': it must have one of key and sha256' }];
  });
}

function shownKeys(value: unknown): unknown {
  if (!Array.isArray(value)) return REDACTED;
  return value.map((item: unknown) => {
    const parts = partsOfKey(item);
    return parts === undefined || !matches(LABEL)(parts.label) ? REDACTED : shownMap(parts, KEY_PARTS);
  });
}
