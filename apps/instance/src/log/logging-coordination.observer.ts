import { ManagerRegistry } from '@baton/coordination';
import type { InferenceError, InferenceRequest } from '@baton/inference';
import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { PrometheusCoordinationObserver } from '../metrics/prometheus-coordination.observer.js';
import { METRICS_REGISTRY } from '../metrics/registry.token.js';
import { logFailure } from './failure-log.js';
import { LOGGER } from './logger.token.js';

/** Counts what happens to requests, and writes down which of them failed. */
@Injectable()
export class LoggingCoordinationObserver extends PrometheusCoordinationObserver {
  constructor(
    @Inject(METRICS_REGISTRY) registry: Registry,
    managers: ManagerRegistry,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    super(registry, managers);
  }

  override failed(request: InferenceRequest, error: InferenceError): void {
    logFailure(this.logger, request, error);
  }

  override policyStateFailed(error: Error): void {
    this.logger.warn({ reason: error.message }, 'The policies cannot be kept, or read');
  }
}
