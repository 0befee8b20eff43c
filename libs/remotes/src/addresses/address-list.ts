import { readHost, readHostPort } from './host.js';

const ANY_PORT = '*';

/** Hosts and ports that may be named by others. Exact: a host that is listed with one port is not listed with another. */
export class AddressList {
  readonly #ports = new Map<string, Set<number | typeof ANY_PORT>>();

  /**
   * @param entries each `host:port`, or `host:*` for every port of a host.
   * @throws Error naming the entry that is neither.
   */
  constructor(entries: Iterable<string> = []) {
    for (const entry of entries) {
      const host = entry.endsWith(`:${ANY_PORT}`) ? readHost(entry.slice(0, -2)) : undefined;
      const read = host === undefined ? readHostPort(entry) : { host, port: ANY_PORT as typeof ANY_PORT };
      if (read === undefined) throw new Error(`Address "${entry}" must be host:port or host:*.`);
      this.#add(read.host, read.port);
    }
  }

  /**
   * Whether `host` is listed with `port`.
   *
   * @param host as `readHost` gives it.
   * @param port undefined when none was named: then every port of the host has to be listed.
   */
  allows(host: string, port: number | undefined): boolean {
    const ports = this.#ports.get(host);
    return ports?.has(ANY_PORT) === true || (port !== undefined && ports?.has(port) === true);
  }

  /** Whether `host` is listed with any port. */
  knows(host: string): boolean {
    return this.#ports.has(host);
  }

  #add(host: string, port: number | typeof ANY_PORT): void {
    const ports = this.#ports.get(host);
    if (ports === undefined) this.#ports.set(host, new Set([port]));
    else ports.add(port);
  }
}
