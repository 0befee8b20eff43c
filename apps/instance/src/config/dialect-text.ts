import { DIALECT_NAMES } from '@baton/remotes';
import { Setting } from './setting.js';

const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;

/** What a dialect may be called. Which there are is known once plugins are loaded. */
export const DIALECT_ALLOWED = `one of ${DIALECT_NAMES.join(', ')}, or the name of a dialect of a plugin`;

/** Whether `value` can be the name of a dialect; whether there is such a dialect is found out at the start. */
export function isDialectText(value: unknown): boolean {
  return typeof value === 'string' && NAME.test(value);
}

/** What engine servers and instances speak. */
export function DialectText(description: string): PropertyDecorator {
  return Setting({ description, allowed: DIALECT_ALLOWED }, isDialectText);
}
