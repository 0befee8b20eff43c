import type { InferenceApi } from '@baton/inference';
import { notAllowed, type Fault } from './fault.js';
import { mapFaults, type Part, type Parts } from './map-faults.js';
import { isSection } from './section.js';
import { Setting } from './setting.js';

const APIS: readonly InferenceApi[] = ['completions', 'chat', 'generate'];

/** Source: RFC 9110 5.6.2, token. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~\w-]{1,128}$/;

const isText = (value: unknown): boolean => typeof value === 'string' && value !== '';
const isSomeOf = (isItem: (item: unknown) => boolean) => (value: unknown) =>
  Array.isArray(value) && value.length > 0 && value.every(isItem);
const text: Part = { allowed: 'a text that is not empty', isAllowed: isText };
const flag: Part = { allowed: 'true or false', isAllowed: (value) => typeof value === 'boolean' };
const count: Part = {
  allowed: 'a whole number of at least 1',
  isAllowed: (value) => Number.isSafeInteger(value) && Number(value) >= 1,
};
const mapOf = (parts: Parts): Part => ({
  allowed: `a map of ${Object.keys(parts).join(', ')}`,
  isAllowed: isSection,
  parts,
});

const MANAGER: Parts = {
  name: { ...text, isRequired: true },
  enabled: flag,
  priority: { allowed: 'a whole number', isAllowed: Number.isSafeInteger },
  canaryPercent: {
    allowed: 'a number from 0 to 100',
    isAllowed: (value) => typeof value === 'number' && value >= 0 && value <= 100,
  },
  canaryHeader: {
    allowed: 'the name of a header',
    isAllowed: (value) => typeof value === 'string' && HEADER_NAME.test(value),
  },
  shadow: flag,
  disaggregateWhen: mapOf({
    minPromptTokens: count,
    minPromptBytes: count,
    apis: {
      allowed: `a list of ${APIS.join(', ')}`,
      isAllowed: isSomeOf((item) => APIS.some((api) => api === item)),
    },
    models: { allowed: 'a list of names, not empty', isAllowed: isSomeOf(isText) },
    maxChoices: count,
    header: mapOf({
      name: { ...text, isRequired: true },
      value: { allowed: 'a text', isAllowed: (value) => typeof value === 'string' },
    }),
  }),
};

/** A list of maps that change managers. In the environment it is written as JSON. */
export function ManagerList(description: string): PropertyDecorator {
  return Setting(
    {
      description: `${description}: maps of ${Object.keys(MANAGER).join(', ')}; JSON in the environment`,
      allowed: `a list of maps of ${Object.keys(MANAGER).join(', ')}`,
      faults: managerFaults,
      isJson: true,
    },
    (value) => Array.isArray(value),
  );
}

function managerFaults(value: unknown): Fault[] {
  if (!Array.isArray(value)) return [];
  const names = value.map((item: unknown): unknown => (isSection(item) ? Reflect.get(item, 'name') : undefined));
  return value.flatMap((item: unknown, index) => {
    const at = `[${index}]`;
    if (!isSection(item)) return [{ at, problem: notAllowed(item, `a map of ${Object.keys(MANAGER).join(', ')}`) }];
    const faults = mapFaults(item, MANAGER, at);
    const isTwin = isText(names[index]) && names.indexOf(names[index]) < index;
    return isTwin ? [...faults, { at: `${at}.name`, problem: `: "${String(names[index])}" is listed twice` }] : faults;
  });
}
