/** What each error status means here. */
export const ERROR_DESCRIPTIONS = {
  400: 'The request is not valid. `param` names the field at fault.',
  401: 'The API key is missing or not valid here.',
  403: 'The API key does not allow this, or the request names an address that is not allowed.',
  404: 'The model does not exist.',
  409: 'The configuration uses something that only this plugin provides.',
  412: 'The policies have changed since the version that `If-Match` names.',
  413: 'The request body is too large.',
  415: 'The request body is not declared as JSON.',
  422: 'The plugin cannot be loaded. The message names it, says why, and what to do.',
  429: 'Too many requests are waiting. `Retry-After` says when to try again.',
  500: 'The server failed.',
  501: 'The engine cannot do this.',
  502: 'Another server that is needed failed.',
  503: 'The server cannot take the request now. `Retry-After` says when to try again.',
  504: 'Another server that is needed did not answer in time.',
} as const;

/** A status that some route answers with. */
export type ErrorStatus = keyof typeof ERROR_DESCRIPTIONS;
