/** `Bearer`, in any case, and a token without spaces. */
const BEARER = /^bearer +(\S+)$/i;

/** What a request's headers may carry a key in. */
export interface KeyHeaders {
  readonly authorization?: string | undefined;
  readonly 'x-api-key'?: string | string[] | undefined;
}

/** The key of a request: its bearer token, else its `x-api-key`. Undefined when it brings none. */
export function presentedKey(headers: KeyHeaders): string | undefined {
  const bearer = headers.authorization === undefined ? undefined : BEARER.exec(headers.authorization)?.[1];
  const key = bearer ?? headers['x-api-key'];
  return typeof key === 'string' && key !== '' ? key : undefined;
}
