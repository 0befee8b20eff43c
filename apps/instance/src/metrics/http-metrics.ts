import { Inject, Injectable } from '@nestjs/common';
import { Histogram, type Registry } from 'prom-client';
import { METRICS_PREFIX } from './create-registry.js';
import { METRICS_REGISTRY } from './registry.token.js';
import type { HttpExchange } from '../http/http-exchange.js';

/** From a health check to a long stream, in seconds. */
const BUCKETS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** How long HTTP requests take, until their last byte. Labels come from the routes, never from the client. */
@Injectable()
export class HttpMetrics {
  readonly #duration: Histogram<'route' | 'method' | 'status'>;

  constructor(@Inject(METRICS_REGISTRY) registry: Registry) {
    this.#duration = new Histogram({
      name: `${METRICS_PREFIX}http_request_duration_seconds`,
      help: 'Time from a request to the end of its answer.',
      labelNames: ['route', 'method', 'status'],
      buckets: BUCKETS,
      registers: [registry],
    });
  }

  record({ route, method, status, ms }: HttpExchange): void {
    const labels = { route, method: METHODS.includes(method) ? method : 'other', status: String(status) };
    this.#duration.observe(labels, ms / 1000);
  }
}
