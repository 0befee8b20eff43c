import { ValidateBy, type ValidationArguments } from 'class-validator';
import { isEndpointUrl, isKvPeer } from './address-syntax.js';

/** What is known of a setting besides its default: for validation, `--help` and `--print-config`. */
export interface SettingInfo {
  /** What it does, as a sentence without a full stop. */
  readonly description: string;
  /** What it may be; completes "it must be ...". */
  readonly allowed: string;
  /** Whether its value must never be shown. */
  readonly isSecret: boolean;
}

/** Whether `value` is allowed; `section` is the configuration section that it stands in. */
type IsAllowed = (value: unknown, section: object) => boolean;

const SETTING = 'baton:setting';

/** The info of a setting; undefined for a property that is none. */
export function settingInfo(section: object, property: string): SettingInfo | undefined {
  return Reflect.getMetadata(SETTING, section, property) as SettingInfo | undefined;
}

/** A setting. class-validator's message is what is allowed; the loader adds key, source and value. */
export function Setting(
  info: Omit<SettingInfo, 'isSecret'> & { isSecret?: boolean },
  isAllowed: IsAllowed,
): PropertyDecorator {
  const validate = ValidateBy({
    name: 'setting',
    validator: {
      validate: (value: unknown, context?: ValidationArguments) => isAllowed(value, context?.object ?? {}),
      defaultMessage: () => info.allowed,
    },
  });
  return (target, property) => {
    Reflect.defineMetadata(SETTING, { isSecret: false, ...info } satisfies SettingInfo, target, property);
    validate(target, property);
  };
}

/** A whole number in a range, both ends included. */
export function WholeNumber(description: string, range: { min: number; max: number }): PropertyDecorator {
  const { min, max } = range;
  return Setting(
    { description, allowed: `a whole number from ${min} to ${max}` },
    (value) => Number.isInteger(value) && Number(value) >= min && Number(value) <= max,
  );
}

/** The longest time that a timer of Node.js can wait; anything above would fire at once. */
const MAX_TIMER_MS = 2_147_483_647;

/** A time in milliseconds. Most of them have no meaning at 0: then `min` is 1. */
export function Milliseconds(description: string, min: 0 | 1 = 1): PropertyDecorator {
  return WholeNumber(description, { min, max: MAX_TIMER_MS });
}

/** One of a few words. */
export function Choice(description: string, words: readonly string[]): PropertyDecorator {
  return Setting({ description, allowed: `one of ${words.join(', ')}` }, (value) =>
    words.some((word) => word === value),
  );
}

/** Any text, also none. */
export function Text(description: string, options: { isSecret?: boolean } = {}): PropertyDecorator {
  return Setting({ description, allowed: 'a text', ...options }, (value) => typeof value === 'string');
}

/** A text that is not empty. */
export function RequiredText(description: string): PropertyDecorator {
  return Setting(
    { description, allowed: 'a text that is not empty' },
    (value) => typeof value === 'string' && value !== '',
  );
}

/** The origin of a server, or nothing; something when `isRequired` says so of the section. */
export function OriginUrl(description: string, required: { when: string; isRequired: IsAllowed }): PropertyDecorator {
  return Setting(
    {
      description,
      allowed: `an origin such as http://127.0.0.1:8000, without a path, and not empty when ${required.when}`,
    },
    (value, section) => (value === '' ? !required.isRequired(value, section) : isEndpointUrl(value)),
  );
}

/** A list of the origins of instances. */
export function EndpointList(description: string): PropertyDecorator {
  return Setting({ description, allowed: 'a list of origins such as http://10.0.0.7:8200, each once' }, (value) =>
    isListOf(value, isEndpointUrl),
  );
}

/** A list of KV side channels. */
export function KvPeerList(description: string): PropertyDecorator {
  return Setting({ description, allowed: 'a list of host:port or host:*, each once' }, (value) =>
    isListOf(value, isKvPeer),
  );
}

function isListOf(value: unknown, isItem: (item: unknown) => boolean): value is readonly unknown[] {
  return Array.isArray(value) && value.every(isItem) && new Set(value).size === value.length;
}
