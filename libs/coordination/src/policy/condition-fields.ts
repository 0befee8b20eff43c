import type { InferenceApi } from '@baton/inference';

/** Source: RFC 9110 5.6.2, token. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~\w-]{1,128}$/;
const APIS: readonly InferenceApi[] = ['completions', 'chat', 'generate'];
const MAX_TEXT = 500;
const MAX_ITEMS = 256;

/** What a value has to be, in words, and whether it is. */
export interface FieldCheck {
  readonly allowed: string;
  readonly isAllowed: (value: unknown) => boolean;
}

/** A plain map, as JSON makes them. */
export function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const isText = (value: unknown): boolean => typeof value === 'string' && value !== '' && value.length <= MAX_TEXT;
const isListOf = (isItem: (item: unknown) => boolean) => (value: unknown) =>
  Array.isArray(value) && value.length > 0 && value.length <= MAX_ITEMS && value.every(isItem);

const count: FieldCheck = {
  allowed: 'a whole number of at least 1',
  isAllowed: (value) => Number.isSafeInteger(value) && Number(value) >= 1,
};

export const headerName: FieldCheck = {
  allowed: 'the name of a header',
  isAllowed: (value) => typeof value === 'string' && HEADER_NAME.test(value),
};

const HEADER: Readonly<Record<string, FieldCheck>> = {
  name: headerName,
  value: {
    allowed: `a text of at most ${MAX_TEXT} characters`,
    isAllowed: (value) => typeof value === 'string' && value.length <= MAX_TEXT,
  },
};

const CONDITION: Readonly<Record<string, FieldCheck>> = {
  minPromptTokens: count,
  minPromptBytes: count,
  apis: {
    allowed: `a list of ${APIS.join(', ')}`,
    isAllowed: isListOf((item) => APIS.some((api) => api === item)),
  },
  models: { allowed: `a list of 1 to ${MAX_ITEMS} names`, isAllowed: isListOf(isText) },
  maxChoices: count,
};

/** A member that is not as it has to be: where, and what is wrong with it. */
export interface MemberFault {
  readonly at: string;
  readonly problem: string;
}

/** What is wrong with a condition on requests. */
export function conditionFault(when: unknown, at: string): MemberFault | undefined {
  if (!isMap(when)) return { at, problem: 'must be a map of conditions' };
  const { header, ...simple } = when;
  const fault = memberFault(simple, CONDITION, at, 'header');
  if (fault !== undefined || header === undefined) return fault;
  if (!isMap(header)) return { at: `${at}.header`, problem: 'must be a map of name and value' };
  if (header['name'] === undefined) return { at: `${at}.header.name`, problem: `must be ${headerName.allowed}` };
  return memberFault(header, HEADER, `${at}.header`);
}

/** The first member of `map` that has no check, or does not meet it. What is undefined was not said. */
export function memberFault(
  map: Readonly<Record<string, unknown>>,
  checks: Readonly<Record<string, FieldCheck>>,
  at: string,
  ...alsoKnown: readonly string[]
): MemberFault | undefined {
  for (const [name, value] of Object.entries(map)) {
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined;
    const where = `${at}.${name}`;
    if (check === undefined) {
      const known = [...Object.keys(checks), ...alsoKnown].join(', ');
      return { at: where, problem: `is not known here; known: ${known}` };
    }
    if (value !== undefined && !check.isAllowed(value)) return { at: where, problem: `must be ${check.allowed}` };
  }
  return undefined;
}
