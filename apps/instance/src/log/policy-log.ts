import { PolicyControl, type NoticedPolicyAudit } from '@baton/coordination';
import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import type { Logger } from 'pino';
import { Subscription, type Observable } from 'rxjs';
import { LOGGER } from './logger.token.js';

/** The audit log of policies: one line, with `audit: true`, for each change that comes in force here. */
@Injectable()
export class PolicyLog implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #subscription = new Subscription();

  constructor(
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(PolicyControl) private readonly policies: { readonly changes: Observable<NoticedPolicyAudit> },
  ) {}

  /** What was kept from before the start is no change. */
  onApplicationBootstrap(): void {
    this.#subscription.add(
      this.policies.changes.subscribe(({ who, action, version, snapshot, diff, isOwn, at, reason }) =>
        this.logger.info(
          { audit: true, who, action, version, snapshot, diff, isOwn, at, ...(reason !== undefined && { reason }) },
          'The policies have changed',
        ),
      ),
    );
  }

  onApplicationShutdown(): void {
    this.#subscription.unsubscribe();
  }
}
