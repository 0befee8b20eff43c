/** Another instance (or engine server) that legs can be sent to. */
export interface Endpoint {
  /** Origin, for example `http://10.0.0.7:8200`; no path. */
  readonly origin: string;
  /** `host:port`, exact; the name under which it appears in logs and metrics. */
  readonly name: string;
  /** Sent as `Authorization: Bearer`, to this endpoint only. */
  readonly apiKey?: string;
}

/** An endpoint as configured: its URL, or its URL and key. */
export type EndpointOptions = string | { readonly url: string; readonly apiKey?: string };

/**
 * Reads a configured endpoint.
 *
 * @throws Error naming the value when it is not an `http:` or `https:` origin.
 */
export function parseEndpoint(options: EndpointOptions): Endpoint {
  const { url, apiKey } = typeof options === 'string' ? { url: options, apiKey: undefined } : options;
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) {
    throw new Error(`Endpoint "${url}" must be a URL such as http://10.0.0.7:8200.`);
  }
  const { pathname, search, hash, username, password } = parsed;
  if (pathname !== '/' || `${search}${hash}${username}${password}` !== '') {
    throw new Error(`Endpoint "${url}" must be an origin only: no path, query, fragment, user name or password.`);
  }
  const port = parsed.port || (parsed.protocol === 'https:' ? '443' : '80');
  return { origin: parsed.origin, name: `${parsed.hostname}:${port}`, ...(apiKey ? { apiKey } : {}) };
}
