import type { EndpointOptions } from '@baton/remotes';
import { isEndpointUrl, isKvAddress } from './address-syntax.js';
import { DIALECT_ALLOWED, isDialectText } from './dialect-text.js';
import { notAllowed, type Fault } from './fault.js';
import { mapFaults, REDACTED, shownMap, type Parts } from './map-faults.js';
import { isSection } from './section.js';
import { Setting } from './setting.js';

const ORIGIN = 'an origin such as http://10.0.0.7:8200, without a path';

const ENDPOINT: Parts = {
  url: { allowed: ORIGIN, isAllowed: isEndpointUrl, isRequired: true },
  apiKey: {
    allowed: 'a text that is not empty',
    isAllowed: (value) => typeof value === 'string' && value !== '',
    isSecret: true,
  },
  kvAddress: { allowed: 'host:port, or host:port,port', isAllowed: isKvAddress },
  dialect: { allowed: DIALECT_ALLOWED, isAllowed: isDialectText },
};

/** A list of instances or engine servers. */
export function EndpointList(description: string): PropertyDecorator {
  return Setting(
    {
      description: `${description}: URLs, or in a file also maps of ${Object.keys(ENDPOINT).join(', ')}`,
      allowed: `a list of URLs or maps of ${Object.keys(ENDPOINT).join(', ')}`,
      shown: shownEndpoints,
      faults: endpointFaults,
    },
    (value) => Array.isArray(value),
  );
}

function endpointFaults(value: unknown): Fault[] {
  if (!Array.isArray(value)) return [];
  const origins = value.map(originOf);
  return value.flatMap((item: unknown, index) => {
    const at = `[${index}]`;
    if (isSection(item)) {
      const faults = mapFaults(item, ENDPOINT, at);
      if (faults.length > 0) return faults;
    } else if (!isEndpointUrl(item)) {
      const shown = Array.isArray(item) ? REDACTED : item;
      return [{ at, problem: notAllowed(shown, `${ORIGIN}, or a map of ${Object.keys(ENDPOINT).join(', ')}`) }];
    }
    return origins.indexOf(origins[index]) < index ? [{ at, problem: `: ${origins[index]} is listed twice` }] : [];
  });
}

/** Tells endpoints apart; undefined for one that is not valid. */
function originOf(item: unknown): string | undefined {
  const url: unknown = isSection(item) ? Reflect.get(item, 'url') : item;
  return typeof url === 'string' && isEndpointUrl(url) ? new URL(url).origin : undefined;
}

function shownEndpoints(value: unknown): unknown {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return REDACTED;
  return value.map((item: unknown) => (isSection(item) ? shownMap(item, ENDPOINT) : item));
}

/** The endpoints of a pool; those without a key of their own have the pool's. */
export function endpointsOf(pool: {
  readonly endpoints: readonly EndpointOptions[];
  readonly apiKey: string;
}): readonly EndpointOptions[] {
  const { endpoints, apiKey } = pool;
  if (apiKey === '') return endpoints;
  return endpoints.map((endpoint) => ({ apiKey, ...(typeof endpoint === 'string' ? { url: endpoint } : endpoint) }));
}

/** The URL of a configured endpoint. */
export function urlOf(endpoint: EndpointOptions): string {
  return typeof endpoint === 'string' ? endpoint : endpoint.url;
}
