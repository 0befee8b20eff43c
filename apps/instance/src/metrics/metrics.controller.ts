import { CoordinationObserver } from '@baton/coordination';
import type { Engine } from '@baton/engines';
import { Controller, Get, Header, Inject } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Registry } from 'prom-client';
import { ENGINE } from '../engine/engine.token.js';
import type { PrometheusCoordinationObserver } from './prometheus-coordination.observer.js';
import { ApiErrors } from '../openapi/api-errors.decorator.js';
import { PeersOnly } from '../security/access.js';
import { METRICS_REGISTRY } from './registry.token.js';
import { ScrapedMetrics } from './scraped-metrics.js';
import { PluginMetrics } from './plugin-metrics.js';
import { PolicyMetrics } from './policy-metrics.js';
import { ServerMetrics } from './server-metrics.js';

/** For Prometheus. */
@ApiTags('operation')
@Controller('/metrics')
export class MetricsController {
  readonly #scraped: ScrapedMetrics;

  constructor(
    @Inject(METRICS_REGISTRY) private readonly registry: Registry,
    @Inject(ENGINE) private readonly engine: Engine,
    @Inject(CoordinationObserver) private readonly requests: PrometheusCoordinationObserver,
    private readonly server: ServerMetrics,
    private readonly policies: PolicyMetrics,
    private readonly plugins: PluginMetrics,
  ) {
    this.#scraped = new ScrapedMetrics(registry);
  }

  @Get()
  @PeersOnly()
  @Header('content-type', Registry.PROMETHEUS_CONTENT_TYPE)
  @ApiOperation({ summary: 'Metrics in the text format of Prometheus' })
  @ApiErrors(403)
  @ApiOkResponse({ description: 'The metrics.', content: { 'text/plain': { schema: { type: 'string' } } } })
  async metrics(): Promise<string> {
    const engine = await this.engine.metrics();
    // From here on without a pause: what has to add up is read, and written into the registry, in one moment.
    const sources = [this.requests, this.server, this.policies, this.plugins];
    this.#scraped.update([...engine, ...sources.flatMap((source) => source.snapshot())]);
    return this.registry.metrics();
  }
}
