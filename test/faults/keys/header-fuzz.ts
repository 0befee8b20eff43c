import type { Random } from '../support/random.js';
import { bearer, KEYS } from './rig.js';

/** A secret of a client, which no engine may see. */
export const SECRET = 'canary-secret-of-a-client';

/** Headers that carry credentials, or did somewhere. */
const NAMES = [
  ...['cookie', 'x-api-key', 'proxy-authorization', 'api-key', 'x-auth-token', 'x-amz-security-token', 'authorization'],
  ...[
    'x-goog-api-key',
    'x-forwarded-authorization',
    'x-authorization',
    'set-cookie',
    'x-csrf-token',
    'www-authenticate',
  ],
  ...[
    'x-baton-leg',
    'x-baton-manager',
    'x-real-authorization',
    'authorization2',
    'authorization_',
    'x-original-cookie',
  ],
];

/** What proxies and clients do with names of headers. */
const SPELLINGS: readonly ((name: string, random: Random) => string)[] = [
  (name) => name,
  (name) => name.toUpperCase(),
  (name) => name.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase()),
  (name, random) => [...name].map((letter) => (random.next() < 0.5 ? letter.toUpperCase() : letter)).join(''),
];

/** Lines of a head that a client with a key of its own sends, with secrets in any of them. */
export function fuzzedHeaders(random: Random): string[] {
  const own = `${random.pick(SPELLINGS)('authorization', random)}: ${random.pick(['Bearer', 'bearer', 'BEARER'])} ${KEYS.client}`;
  const others = Array.from({ length: 1 + random.below(8) }, () => {
    const name = random.pick(SPELLINGS)(random.pick(NAMES), random);
    return `${name}: ${random.pick(['', 'Bearer ', 'Basic ', 'session='])}${SECRET}-${random.below(1_000)}`;
  });
  // A name that `Connection` nominates is of one connection only; one that it does not is not to be sent on either.
  const nominated = random.next() < 0.3 ? [`connection: close, ${random.pick(NAMES)}`] : [];
  return [own, ...others, ...nominated];
}

/** What is wrong with the headers that an engine was sent. */
export function leakOf(headers: Readonly<Record<string, unknown>>, ownKey: string): string | undefined {
  if (headers['authorization'] !== bearer(ownKey)) return `authorization: ${String(headers['authorization'])}`;
  return Object.entries(headers)
    .filter(([name]) => name !== 'authorization')
    .map(([name, value]) => `${name}: ${String(value)}`)
    .find((line) => /canary/i.test(line) || /^(cookie|x-api-key|proxy-authorization)/.test(line));
}
