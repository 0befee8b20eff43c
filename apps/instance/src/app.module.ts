import {
  Callers,
  CoordinationModule,
  CoordinationObserver,
  LoadShedding,
  PluginsModule,
  RequestCheck,
} from '@baton/coordination';
import type { Engine } from '@baton/engines';
import { Module, type DynamicModule } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import type { Logger } from 'pino';
import { AdminController } from './admin/admin.controller.js';
import { ExplainController } from './admin/explain.controller.js';
import { PluginsController } from './admin/plugins.controller.js';
import { PoliciesController } from './admin/policies.controller.js';
import { RequestsController } from './admin/requests.controller.js';
import { INSTANCE_CONFIG } from './config/config.token.js';
import type { InstanceConfig } from './config/instance-config.js';
import { coordinationOptions } from './engine/coordination-options.js';
import { EngineModule } from './engine/engine.module.js';
import { pluginsOptions } from './engine/plugins-options.js';
import { EngineRequestCheck } from './engine/engine-request-check.js';
import { EventLoopShedding } from './health/event-loop-shedding.js';
import { HealthModule } from './health/health.module.js';
import type { ConnectionLimit } from './http/connection-limit.js';
import { OpenAiExceptionFilter } from './http/openai-exception.filter.js';
import { AbortRequestsController } from './inference/abort-requests.controller.js';
import { InferenceController } from './inference/inference.controller.js';
import { InfoController } from './info/info.controller.js';
import { DrainService } from './lifecycle/drain.service.js';
import { LogModule } from './log/log.module.js';
import { LoggingCoordinationObserver } from './log/logging-coordination.observer.js';
import { PluginLog } from './log/plugin-log.js';
import { PolicyLog } from './log/policy-log.js';
import { MetricsModule } from './metrics/metrics.module.js';
import { ModelsController } from './models/models.controller.js';
import { InstanceCallers } from './security/instance-callers.js';
import { RenderController } from './tokens/render.controller.js';
import { TokensController } from './tokens/tokens.controller.js';

/** What there is for operators, where there are any. */
const OPERATORS = [AdminController, ExplainController, PluginsController, PoliciesController, RequestsController];

/** One instance: the server in front of `engine`. */
@Module({})
export class AppModule {
  static forRoot(config: InstanceConfig, engine: Engine, logger: Logger, connections: ConnectionLimit): DynamicModule {
    return {
      module: AppModule,
      imports: [
        EngineModule.forRoot(engine, config.limits),
        HealthModule.forRoot(config),
        LogModule.forRoot(logger),
        MetricsModule.forRoot(connections),
        CoordinationModule.forRoot({
          ...coordinationOptions(config),
          providers: [
            { provide: CoordinationObserver, useClass: LoggingCoordinationObserver },
            { provide: RequestCheck, useExisting: EngineRequestCheck },
            { provide: Callers, useClass: InstanceCallers },
            { provide: LoadShedding, useExisting: EventLoopShedding },
          ],
        }),
        PluginsModule.forRoot(pluginsOptions(config)),
      ],
      controllers: [
        AbortRequestsController,
        ...(config.security.adminKeys.length > 0 ? OPERATORS : []),
        InferenceController,
        InfoController,
        ModelsController,
        RenderController,
        TokensController,
      ],
      providers: [
        { provide: INSTANCE_CONFIG, useValue: config },
        { provide: APP_FILTER, useValue: new OpenAiExceptionFilter(config.server) },
        DrainService,
        PluginLog,
        PolicyLog,
      ],
    };
  }
}
