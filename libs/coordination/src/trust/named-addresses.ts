import { isJsonObject, type JsonObject } from '@baton/inference';
import { readHost, readHostPort, readPort } from '@baton/remotes';
import { isIP } from 'node:net';

/**
 * An address that a handoff names. `default`: it names no port, so that the engine's own is meant. `unseen`: it may name one
 * that cannot be read here. Undefined is what cannot be read at all, which is never allowed.
 */
export type NamedAddress = { readonly host: string; readonly port: number | 'default' | 'unseen' } | undefined;

/** Names of fields that hold a host, with or without a port: `remote_host`, `remote_bootstrap_addr`, `ctx_info_endpoint`. */
const HOST_FIELD = /^((?:.*_)?)(?:host|hostname|ip|addr|address|endpoint|url|uri|server)(?:e?s)?$/;
const PORT_FIELD = /(?:^|_)ports?$/;
/** Ports that an engine takes when none is named. Source: SGLang `--disaggregation-bootstrap-port`. */
const DEFAULT_PORTS: Readonly<Record<string, number>> = { bootstrap_: 8998 };

/**
 * Every address that `handoff` names, whatever protocol it is of: fields are told by their names, and texts by what they are
 * (a URL, an IP address, an id of vLLM's P2P connectors), so that a protocol's next field is found as well.
 */
export function namedAddresses(handoff: JsonObject): readonly NamedAddress[] {
  return Object.entries(handoff).flatMap(([field, value]) => inField(snake(field), value, handoff));
}

function inField(field: string, value: unknown, holder: JsonObject): readonly NamedAddress[] {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) return value.flatMap((item: unknown) => inField(field, item, holder));
  if (isJsonObject(value)) return namedAddresses(value);
  if (PORT_FIELD.test(field)) return readPort(value) === undefined ? [undefined] : [];
  const prefix = HOST_FIELD.exec(field)?.[1];
  if (prefix !== undefined) return typeof value === 'string' ? atHost(value, prefix, holder) : [undefined];
  return typeof value === 'string' ? inText(field, value) : [];
}

/** A host with each port that stands beside it under the same prefix. */
function atHost(text: string, prefix: string, holder: JsonObject): readonly NamedAddress[] {
  if (text.includes('://')) return [atUrl(text)];
  const whole = readHostPort(text);
  if (whole !== undefined) return [whole];
  const host = readHost(text);
  if (host === undefined) return [undefined];
  const beside = Object.entries(holder)
    .filter(([field]) => snake(field).startsWith(prefix) && PORT_FIELD.test(snake(field)))
    .flatMap(([, port]) => (Array.isArray(port) ? (port as unknown[]).flat(2) : [port]))
    .filter((port) => port !== null && port !== undefined);
  if (beside.length === 0) return [{ host, port: DEFAULT_PORTS[prefix] ?? 'default' }];
  return beside.map((port) => {
    const read = readPort(port);
    return read === undefined ? undefined : { host, port: read };
  });
}

const P2P_ADDRESS = /addr_([^_]*)/gi;
const IPV4_IN_STATE = /(?<![\d.])(\d{1,3}(?:\.\d{1,3}){3})(?![\d.])(?::(\d{1,5}))?/g;

/** Fields that are no addresses by their names: what is one all the same. */
function inText(field: string, text: string): readonly NamedAddress[] {
  if (field.endsWith('opaque_state')) return inOpaqueState(text);
  if (text.includes('://')) return [atUrl(text)];
  const p2p = [...text.matchAll(P2P_ADDRESS)].map(([, address = '']) => readHostPort(address));
  if (p2p.length > 0) return p2p;
  if (isIP(text) !== 0) return [hostOnly(text, 'default')];
  // MoRIIO's engine ids are addresses, and readers of others take what looks like one for one.
  return /:\d+$/.test(text) && field.endsWith('engine_id') ? [readHostPort(text)] : [];
}

/** TensorRT-LLM's state of a context server is binary; the addresses in it are texts. */
function inOpaqueState(text: string): readonly NamedAddress[] {
  const bytes = Buffer.from(text, 'base64').toString('latin1');
  return [...bytes.matchAll(IPV4_IN_STATE)].map(([, host = '', port]) =>
    port === undefined ? hostOnly(host, 'unseen') : readHostPort(`${host}:${port}`),
  );
}

function hostOnly(text: string, port: 'default' | 'unseen'): NamedAddress {
  const host = readHost(text);
  return host === undefined ? undefined : { host, port };
}

/** The address of a URL that is nothing but a scheme and an address: what parsers could disagree on is not read. */
function atUrl(text: string): NamedAddress {
  const [, scheme = '', address = ''] = /^([a-z][a-z0-9+.-]{0,15}):\/\/([^/?#@\\\s]+)\/?$/i.exec(text) ?? [];
  const port = URL_PORTS[scheme.toLowerCase()];
  const host = readHost(address);
  return port === undefined || host === undefined ? readHostPort(address) : { host, port };
}

const URL_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443 };

/** `remoteHost` and `remote-host` as `remote_host`. */
function snake(field: string): string {
  return field
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/[^a-zA-Z0-9]/g, '_')
    .toLowerCase();
}
