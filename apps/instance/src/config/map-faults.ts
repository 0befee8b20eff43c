import { notAllowed, notASetting, type Fault } from './fault.js';
import { isSection } from './section.js';

/** What one entry of a map may be. */
export interface Part {
  /** Completes "it must be ...". */
  readonly allowed: string;
  readonly isAllowed: (value: unknown) => boolean;
  readonly isRequired?: boolean;
  /** Whether its value must never be shown. */
  readonly isSecret?: boolean;
  /** For a map in the map, whose entries are looked at when it is allowed. */
  readonly parts?: Parts;
}

/** The entries that a map may have. */
export type Parts = Readonly<Record<string, Part>>;

/** Replaces a secret wherever something is shown. */
export const REDACTED = '***';

/** What is wrong with the map at `at`. */
export function mapFaults(map: object, parts: Parts, at: string): Fault[] {
  const unknown = Object.keys(map)
    .filter((name) => !Object.hasOwn(parts, name))
    .map((name) => ({ at: `${at}.${name}`, problem: notASetting('here are', Object.keys(parts)) }));
  const wrong = Object.entries(parts).flatMap(([name, part]) => {
    const value: unknown = Object.hasOwn(map, name) ? Reflect.get(map, name) : undefined;
    return partFaults(value, part, `${at}.${name}`);
  });
  return [...unknown, ...wrong];
}

/** What may be shown of a map: its known entries, without secrets. */
export function shownMap(map: object, parts: Parts): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(map).map(([name, value]) => {
      const isSafe = Object.hasOwn(parts, name) && parts[name]?.isSecret !== true;
      return [name, isSafe ? (value as unknown) : REDACTED];
    }),
  );
}

function partFaults(value: unknown, part: Part, at: string): Fault[] {
  if (value === undefined && part.isRequired !== true) return [];
  if (!part.isAllowed(value)) {
    const shown = part.isSecret === true && value !== undefined ? REDACTED : value;
    return [{ at, problem: notAllowed(shown, part.allowed) }];
  }
  return part.parts !== undefined && isSection(value) ? mapFaults(value, part.parts, at) : [];
}
