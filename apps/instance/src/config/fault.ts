/** What is wrong with a value, or with a part of it. */
export interface Fault {
  /** Where, below the setting's key (`[0].url`); empty for the whole of it. */
  readonly at: string;
  /** Follows the key and its source. Shows no secret. */
  readonly problem: string;
}

const LONGEST = 120;
/** Somebody's name and password in a URL. */
const USER_INFO = /\/\/[^/@\s"]*@/g;

/** The words for a value that is not allowed; `allowed` completes "it must be ...". */
export function notAllowed(value: unknown, allowed: string): string {
  return `: ${excerpt(value)} is not allowed; it must be ${allowed}`;
}

/** The words for a name that does not exist where `place` has `names`. */
export function notASetting(place: string, names: readonly string[]): string {
  return ` is not a setting; ${place} ${names.join(', ')}`;
}

function excerpt(value: unknown): string {
  const text = value === undefined ? 'nothing' : JSON.stringify(value).replace(USER_INFO, '//***@');
  return text.length > LONGEST ? `${text.slice(0, LONGEST - 3)}...` : text;
}
