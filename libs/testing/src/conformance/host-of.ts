import { KvConnectorMetadata, RequestManagerMetadata } from '@baton/coordination';
import { EndpointPickerMetadata } from '@baton/remotes';
import type { Type } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { setTimeout as delay } from 'node:timers/promises';
import type { TestHostOptions } from '../host/test-host-options.js';
import { TestHost } from '../host/test-host.js';
import type { VirtualTime } from '../time/virtual-time.js';
import type { ConformanceSubject } from './subject.js';

/** A subject in a host of its own. */
export interface Hosted<Instance> {
  readonly host: TestHost;
  readonly instance: Instance;
}

const DECORATORS = [RequestManagerMetadata, KvConnectorMetadata, EndpointPickerMetadata];

/** What a subject is registered under; the name of its class when it has no decorator. */
export function nameOf<Instance extends object>(subject: ConformanceSubject<Instance>): string {
  if (typeof subject !== 'function') return subject.name;
  const reflector = new Reflector();
  const options = DECORATORS.map((decorator) =>
    reflector.get<{ readonly name: string } | undefined>(decorator, subject),
  );
  return options.find((found) => found !== undefined)?.name ?? subject.name;
}

/** Longest time, of the ledger and of the process, in which a host ends that something was left open in. */
const SETTLE_MS = 60_000;
const CLOSE_MS = 2_000;

/**
 * Makes a host, and the subject in it: a class is one of its providers, as in an application. In real time, since plugins are
 * read from files.
 */
export async function hosted<Instance extends object>(
  time: VirtualTime,
  subject: ConformanceSubject<Instance>,
  options: TestHostOptions = {},
): Promise<Hosted<Instance>> {
  return time.inRealTime(async () => {
    if (typeof subject !== 'function') {
      const host = await TestHost.make(options);
      return { host, instance: await subject.create(host) };
    }
    const type: Type<Instance> = subject;
    const host = await TestHost.make({ ...options, providers: [...(options.providers ?? []), type] });
    return { host, instance: host.get(type) };
  });
}

/** Ends a host. What is left open in it was found before; here it must not keep the next one from its turn. */
export async function endHost(time: VirtualTime, host: TestHost): Promise<void> {
  await time.advanceUntil(() => host.ledger.open === 0, SETTLE_MS);
  await time.inRealTime(() =>
    Promise.race([host.close().catch(() => undefined), delay(CLOSE_MS, undefined, { ref: false })]),
  );
}
