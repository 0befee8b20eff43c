import { ANONYMOUS, HOPS_HEADER, isTrusted, presentedKey, type Caller } from '@baton/inference';
import type { FastifyRequest } from 'fastify';
import type { IncomingHttpHeaders } from 'node:http';
import { Subject, type Observable } from 'rxjs';
import type { SecurityConfig } from '../config/security-config.js';
import { accessOf } from './access.js';
import { keyRing } from './key-rings.js';
import { setCaller } from './request-caller.js';
import { AccessError, type RefusalReason } from './security-errors.js';

/** Finds out who sends a request, and whether they may, before anything of its body is read. */
export class Gatekeeper {
  readonly #keys;
  /** What callers without a key are; undefined when they are refused. */
  readonly #keyless: Caller | undefined;
  /** Without keys of clients, whatever key a client sends is not ours to judge: SDKs always send one. */
  readonly #hasClientKeys: boolean;
  readonly #refusals = new Subject<RefusalReason>();
  /** Why each request was refused that was. */
  readonly refusals: Observable<RefusalReason> = this.#refusals;

  constructor(config: SecurityConfig) {
    this.#keys = keyRing(config);
    this.#hasClientKeys = config.clientKeys.length > 0;
    this.#keyless = keylessCaller(config);
  }

  /**
   * Lets a request pass, and remembers its caller.
   *
   * @throws AccessError 401 `invalid_api_key`, 403 `peers_only` or `admin_only`.
   */
  admit(request: FastifyRequest): void {
    try {
      this.#admit(request);
    } catch (error) {
      if (error instanceof AccessError) this.#refusals.next(error.reason);
      throw error;
    }
  }

  #admit(request: FastifyRequest): void {
    const access = accessOf(request);
    if (access === 'open') return;
    const caller = this.#callerOf(request.headers);
    setCaller(request, caller);
    if (access === 'admin' && caller.trust !== 'admin') throw refusalOf(caller, 'admin_only');
    if (access === 'peer' && this.#keys.size > 0 && !isTrusted(caller)) throw refusalOf(caller, 'peers_only');
  }

  #callerOf(headers: IncomingHttpHeaders): Caller {
    const key = presentedKey(headers);
    const known = key === undefined ? undefined : this.#keys.callerOf(key);
    if (known !== undefined) return known;
    if (this.#keyless === undefined) throw new AccessError(key === undefined ? 'missing_api_key' : 'invalid_api_key');
    if (key !== undefined && this.#judges(headers)) throw new AccessError('invalid_api_key');
    return this.#keyless;
  }

  /** Every instance counts hops. Another instance with a wrong key would have its legs taken for requests of clients, and nobody would notice. */
  #judges(headers: IncomingHttpHeaders): boolean {
    return this.#hasClientKeys || (this.#keys.size > 0 && headers[HOPS_HEADER] !== undefined);
  }
}

function keylessCaller({ keyless, clientKeys }: SecurityConfig): Caller | undefined {
  switch (keyless) {
    case 'auto':
      return clientKeys.length > 0 ? undefined : ANONYMOUS;
    case 'client':
      return ANONYMOUS;
    case 'peer':
      return { ...ANONYMOUS, trust: 'peer' };
    case 'refuse':
      return undefined;
  }
}

function refusalOf(caller: Caller, reason: 'peers_only' | 'admin_only'): AccessError {
  return new AccessError(caller.label === ANONYMOUS.label ? 'missing_api_key' : reason);
}
