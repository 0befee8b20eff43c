import { HandoffLedger } from '@baton/coordination';
import type { Engine, EngineMetric } from '@baton/engines';
import { Controller, Get, Header, Inject } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Registry } from 'prom-client';
import { ENGINE } from '../engine/engine.token.js';
import { METRICS_REGISTRY } from './registry.token.js';
import { ScrapedMetrics } from './scraped-metrics.js';

/** For Prometheus. */
@ApiTags('operation')
@Controller('/metrics')
export class MetricsController {
  readonly #scraped: ScrapedMetrics;

  constructor(
    @Inject(METRICS_REGISTRY) private readonly registry: Registry,
    @Inject(ENGINE) private readonly engine: Engine,
    private readonly ledger: HandoffLedger,
  ) {
    this.#scraped = new ScrapedMetrics(registry);
  }

  @Get()
  @Header('content-type', Registry.PROMETHEUS_CONTENT_TYPE)
  @ApiOperation({ summary: 'Metrics in the text format of Prometheus' })
  @ApiOkResponse({ description: 'The metrics.', content: { 'text/plain': { schema: { type: 'string' } } } })
  async metrics(): Promise<string> {
    this.#scraped.update([...(await this.engine.metrics()), this.#owed()]);
    return this.registry.metrics();
  }

  #owed(): EngineMetric {
    return {
      name: 'handoffs_open',
      help: 'KV handoffs that are not settled.',
      type: 'gauge',
      samples: [{ labels: { side: 'ledger' }, value: this.ledger.open }],
    };
  }
}
