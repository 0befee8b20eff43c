import { FLOWS } from '../../support/requests.js';
import type { Random } from '../support/random.js';
import type { Canaries } from './canaries.js';
import { handoffs, hostVectors, PLACES, portVectors } from './vectors.js';

/** A request that names a canary in some way. */
export interface Forged {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** A plain request of any api. */
export function plain(random: Random): { path: string; body: Record<string, unknown> } {
  const flow = random.pick(FLOWS);
  const body = flow.body('Once', [1, 2, 3], 1);
  return { path: flow.path, body: random.below(4) === 0 ? { ...body, stream: true } : body };
}

/**
 * A request with a handoff that names a canary: in one of many spellings, in one of the protocols of the field, in one of the
 * places that engines look at. Every second one has the canary's address as it is, so that nothing but the defence stops it.
 */
export function forged(random: Random, canaries: Canaries, allowed: string): Forged {
  const canary = random.pick(canaries.all);
  const isPlain = random.below(2) === 0;
  const host = isPlain ? canary.host : random.pick(hostVectors(canary, allowed));
  const port = isPlain || random.below(2) === 0 ? canary.port : random.pick(portVectors(canary.port));
  const named = random.pick(PLACES)(random.pick(handoffs(host, port)));
  const { path, body } = plain(random);
  const { sampling_params: own } = body;
  const { sampling_params: theirs } = named;
  const sampling = { ...(own as object | undefined), ...(theirs as object | undefined) };
  return { path, body: { ...body, ...named, ...((own ?? theirs) ? { sampling_params: sampling } : {}) } };
}

/** Routing headers of the field that name a canary, as lines: repeated, as lists, in other cases, nominated in `Connection`. */
export function forgedHeaders(random: Random, canaries: Canaries): readonly string[] {
  const { host, port } = random.pick(canaries.all);
  const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const names = [1, 2, 3].map(() => random.pick(ROUTING_HEADERS));
  const lines = names.flatMap((name) => {
    const cased = random.pick([
      name,
      name.toUpperCase(),
      name.replaceAll(/(^|-)([a-z])/g, (part) => part.toUpperCase()),
    ]);
    const value = random.pick([
      address,
      `${address},${address}`,
      `127.0.0.1:1, ${address}`,
      `http://${address}`,
      '1',
      `${address} `,
    ]);
    const line = `${cased}: ${value}`;
    return random.below(3) === 0 ? [line, `${name}: ${address}`] : [line];
  });
  const nominated = random.pick([
    [],
    [`connection: close, ${names.join(', ')}`],
    [`Connection: ${names[0]}`, 'connection: close'],
  ]);
  return [...lines, ...nominated];
}

const ROUTING_HEADERS = [
  ...[
    'x-request-id',
    'x-baton-leg',
    'x-baton-manager',
    'x-baton-hops',
    'x-data-parallel-rank',
    'x-data-parallel-host-port',
  ],
  ...[
    'x-prefiller-host-port',
    'x-prefiller-url',
    'x-encoder-hosts-ports',
    'x-kv-cache-source-host-port',
    'x-session-id',
  ],
  ...['x-gateway-destination-endpoint', 'x-gateway-destination-endpoint-subset', 'x-peer-topology', 'epp-profile'],
  ...[
    'forwarded',
    'x-forwarded-host',
    'x-forwarded-for',
    'x-forwarded-server',
    'x-host',
    'x-original-url',
    'x-rewrite-url',
  ],
  ...[
    'x-real-ip',
    'true-client-ip',
    'via',
    'proxy-connection',
    'proxy-authorization',
    'x-http-method-override',
    'origin',
    'referer',
  ],
];
