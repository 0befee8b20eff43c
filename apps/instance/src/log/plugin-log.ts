import { PluginHost } from '@baton/coordination';
import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { Logger } from 'pino';
import { Subscription, type Observable } from 'rxjs';
import { errorForLog } from '../http/error-for-log.js';
import { LOGGER } from './logger.token.js';

/** Writes down what happens to plugins, and what goes wrong with them. Who asked for it is written by the routes. */
@Injectable()
export class PluginLog implements OnApplicationShutdown {
  readonly #subscription = new Subscription();

  constructor(
    @Inject(LOGGER) logger: Logger,
    @Inject(PluginHost) plugins: { readonly events: Observable<object>; readonly faults: Observable<object> },
  ) {
    // What has happened before is told as well.
    this.#subscription.add(plugins.events.subscribe((event) => logger.info(event, 'A plugin has changed')));
    this.#subscription.add(plugins.faults.subscribe((fault) => logger.warn(faultForLog(fault), 'A plugin has failed')));
  }

  onApplicationShutdown(): void {
    this.#subscription.unsubscribe();
  }
}

/** What is known of the fault; of an error what the log may say. */
function faultForLog(fault: object): object {
  return Object.fromEntries(
    Object.entries(fault).map(([name, value]: [string, unknown]) =>
      value instanceof Error ? ['err', errorForLog(value)] : [name, value],
    ),
  );
}
