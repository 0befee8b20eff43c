import { digest, KEYS } from './rig.js';

/** A route of the API's document. */
export interface Route {
  readonly method: string;
  readonly path: string;
}

/** Headers of somebody who has no key of this instance. */
export const STRANGERS: readonly (readonly string[])[] = [
  [],
  ['authorization: Bearer canary-key-of-nobody-at-all'],
  [`authorization: Bearer ${KEYS.client.slice(0, -1)}`],
  [`authorization: Bearer ${KEYS.client}x`],
  [`authorization: Bearer ${KEYS.admin.toUpperCase()}`],
  [`authorization: Bearer ${digest(KEYS.admin)}`],
  [`authorization: Bearer ${KEYS.admin} ${KEYS.admin}`],
  [`authorization: Basic ${Buffer.from(`admin:${KEYS.admin}`).toString('base64')}`],
  [`authorization: ${KEYS.admin}`],
  ['authorization: Bearer '],
  [`x-api-key: ${KEYS.peer.slice(1)}`],
  [`cookie: authorization=Bearer ${KEYS.admin}`],
];

/** The same place in other words, or nearly the same. */
export const PATHS: readonly ((path: string) => string)[] = [
  (path) => path,
  (path) => path.replace(/[a-z]/, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
  (path) => path.replace(/[a-z](?=[^a-z]*$)/, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`),
  (path) => `/${path}`,
  (path) => `${path}/`,
  (path) => `${path};a=b`,
  (path) => path.toUpperCase(),
  (path) => `/health/live/..${path}`,
  (path) => `/.${path}`,
  (path) => path.replaceAll('/', '%2f').replace('%2f', '/'),
  (path) => `${path}%00`,
  (path) => `${path}?authorization=Bearer%20${KEYS.admin}&api_key=${KEYS.admin}`,
  (path) => `http://instance${path}`,
  (path) => `${path}#/health/live`,
];

/** Ways to ask for another method than the request's. */
export const OVERRIDES: readonly ((method: string) => { method: string; lines: readonly string[] })[] = [
  (method) => ({ method, lines: [] }),
  (method) => ({ method: 'POST', lines: [`x-http-method-override: ${method}`] }),
  (method) => ({ method: 'HEAD', lines: [`x-http-method: ${method}`] }),
  (method) => ({ method: 'OPTIONS', lines: ['origin: http://elsewhere', `access-control-request-method: ${method}`] }),
];

/** A request without a body as a text; `authorization` and the like are among the lines. */
export function requestText(method: string, path: string, lines: readonly string[]): string {
  return `${[`${method} ${path} HTTP/1.1`, 'host: instance', 'connection: close', ...lines].join('\r\n')}\r\n\r\n`;
}
