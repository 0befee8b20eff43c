import type { Type } from '@nestjs/common';
import type { TestHost } from '../host/test-host.js';

/**
 * What is checked: a class, which the host makes with what it injects; or a name, and a function that makes it for a host.
 * Each check has a host, and a subject, of its own.
 */
export type ConformanceSubject<Instance extends object> = Type<Instance> | NamedSubject<Instance>;

/** A subject that is made by a function: with `new`, out of a plugin, or however its author likes. */
export interface NamedSubject<Instance extends object> {
  readonly name: string;
  /** Called once for each host. */
  create(host: TestHost): Instance | Promise<Instance>;
}
