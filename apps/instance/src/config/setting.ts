import { ValidateBy, type ValidationArguments } from 'class-validator';
import { isEndpointUrl, isKvAddress, isKvPeer } from './address-syntax.js';
import type { Fault } from './fault.js';
import { REDACTED } from './map-faults.js';

/** What is known of a setting besides its default: for validation, `--help` and `--print-config`. */
export interface SettingInfo {
  /** What it does, as a sentence without a full stop. */
  readonly description: string;
  /** What it may be; completes "it must be ...". */
  readonly allowed: string;
  /** What of its value may be shown: all of it, unless it holds secrets. */
  readonly shown: (value: unknown) => unknown;
  /** What is wrong inside a value that has parts. None of them when `allowed` already says what is wrong. */
  readonly faults: (value: unknown) => readonly Fault[];
  /** Whether it is written as JSON in an environment variable. */
  readonly isJson: boolean;
  /** Stands for a default that depends on the machine. */
  readonly defaultText?: string;
}

/** Whether `value` is allowed; `section` is the configuration section that it stands in. */
type IsAllowed = (value: unknown, section: object) => boolean;

const SETTING = 'baton:setting';

/** The info of a setting; undefined for a property that is none. */
export function settingInfo(section: object, property: string): SettingInfo | undefined {
  return Reflect.getMetadata(SETTING, section, property) as SettingInfo | undefined;
}

const SHOW_ALL = { shown: (value: unknown) => value, faults: () => [], isJson: false };

/** A setting. class-validator's message is what is allowed; the loader adds key, source and value. */
export function Setting(
  info: Pick<SettingInfo, 'description' | 'allowed'> & Partial<SettingInfo>,
  isAllowed: IsAllowed,
): PropertyDecorator {
  const whole: SettingInfo = { ...SHOW_ALL, ...info };
  const validate = ValidateBy({
    name: 'setting',
    validator: {
      validate: (value: unknown, context?: ValidationArguments) =>
        isAllowed(value, context?.object ?? {}) && whole.faults(value).length === 0,
      defaultMessage: () => whole.allowed,
    },
  });
  return (target, property) => {
    Reflect.defineMetadata(SETTING, whole, target, property);
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

/** V8's longest string: a longer text could not be parsed. */
export const MAX_TEXT_BYTES = 536_870_888;

/** The default of {@link EventBytes}: room for the ids and log probabilities of a long prompt, which come in one event. */
export const DEFAULT_EVENT_BYTES = 4 * 1024 * 1024;

/** The bound of one event of a stream. */
export function EventBytes(description: string): PropertyDecorator {
  return WholeNumber(description, { min: 1_024, max: MAX_TEXT_BYTES });
}

/** One of a few words. */
export function Choice(description: string, words: readonly string[]): PropertyDecorator {
  return Setting({ description, allowed: `one of ${words.join(', ')}` }, (value) =>
    words.some((word) => word === value),
  );
}

/** Any text, also none. */
export function Text(description: string, options: { isSecret?: boolean } = {}): PropertyDecorator {
  const shown = { shown: (value: unknown) => (value === '' ? value : REDACTED) };
  return Setting(
    { description, allowed: 'a text', ...(options.isSecret === true ? shown : {}) },
    (value) => typeof value === 'string',
  );
}

/** Yes or no. */
export function Flag(description: string): PropertyDecorator {
  return Setting({ description, allowed: 'true or false' }, (value) => typeof value === 'boolean');
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

/** Where a KV transfer listens, or nothing. */
export function KvAddressText(description: string): PropertyDecorator {
  return Setting(
    { description, allowed: 'host:port, host:port,port, or empty' },
    (value) => value === '' || isKvAddress(value),
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
