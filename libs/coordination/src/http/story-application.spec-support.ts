import {
  ANONYMOUS,
  type Caller,
  type InferenceError,
  type InferenceRequest,
  type ResponsePart,
} from '@baton/inference';
import { afterEach } from '@jest/globals';
import {
  Body,
  Controller,
  ForbiddenException,
  Get,
  HttpCode,
  Injectable,
  Post,
  UseGuards,
  UseInterceptors,
  type ArgumentMetadata,
  type CallHandler,
  type CanActivate,
  type ExecutionContext,
  type NestInterceptor,
  type PipeTransform,
} from '@nestjs/common';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { RemoteClient, RemotePool } from '@baton/remotes';
import { Test } from '@nestjs/testing';
import { IsBoolean, IsInt, IsOptional, IsString, Min } from 'class-validator';
import type { AddressInfo } from 'node:net';
import { timeout, type Observable } from 'rxjs';
import { DECODE_POOL, PREFILL_CLIENT, PREFILL_POOL } from '../coordination.constants.js';
import { CoordinationModule } from '../coordination.module.js';
import type { CoordinationOptions } from '../coordination.options.js';
import { DispatchCounters } from '../dispatch/dispatch-counters.js';
import { Explainer } from '../explain/explainer.js';
import { RequestRecords } from '../explain/request-records.js';
import type { DisaggregatedRequestManager, LocalExecution } from '../managers/disaggregated-request-manager.js';
import { RequestManager } from '../managers/request-manager.decorator.js';
import { CoordinationObserver, type StreamEndReason } from '../observer.js';
import { EndpointPickers } from '../registry/endpoint-pickers.js';
import { ManagerRegistry } from '../registry/manager-registry.js';
import { Callers } from './callers.js';
import { Disaggregated } from './disaggregated.decorator.js';
import { InFlight } from './in-flight.js';
import { Leg } from './leg.decorator.js';
import { RequestCheck } from './request-check.js';

/** What the application of a test does. */
interface Script {
  /** The policy of its only manager of its own, `scripted`. */
  plan: (request: InferenceRequest, local: LocalExecution) => Observable<ResponsePart> | undefined;
  /** What the handler returns for the leg that it runs. */
  handler: (leg: InferenceRequest, body: unknown) => unknown;
  /** Whether its guard lets requests in. */
  isAllowed: boolean;
  /** Who sends its requests. */
  caller: Caller;
  check: (request: InferenceRequest) => void | Promise<void>;
  /** Why its answers ended, in order. */
  readonly ends: StreamEndReason[];
  /** Which failures an operator was told of, in order. */
  readonly failures: { readonly request: InferenceRequest; readonly error: InferenceError }[];
}

const freshScript = (): Script => ({
  plan: () => undefined,
  handler: (leg) => ({ leg: leg.body }),
  isAllowed: true,
  caller: ANONYMOUS,
  check: () => undefined,
  ends: [],
  failures: [],
});

/** The script of the application that runs; {@link run} begins a new one. */
export const script: Script = freshScript();

@RequestManager({ name: 'scripted' })
class ScriptedManager implements DisaggregatedRequestManager {
  dispatch(request: InferenceRequest, local: LocalExecution): Observable<ResponsePart> | undefined {
    return script.plan(request, local);
  }
}

@Injectable()
class RecordingObserver extends CoordinationObserver {
  override ended(reason: StreamEndReason): void {
    script.ends.push(reason);
  }

  override failed(request: InferenceRequest, error: InferenceError): void {
    script.failures.push({ request, error });
  }
}

@Injectable()
class ScriptedCheck extends RequestCheck {
  override check(request: InferenceRequest): void | Promise<void> {
    return script.check(request);
  }
}

@Injectable()
class ScriptedCallers extends Callers {
  override callerOf(): Caller {
    return script.caller;
  }
}

class StoryDto {
  @IsString()
  prompt!: string;
  @IsOptional()
  @IsInt()
  @Min(1)
  max_tokens?: number;
  @IsOptional()
  @IsBoolean()
  stream?: boolean;
}

class DoorGuard implements CanActivate {
  canActivate(): boolean {
    if (!script.isAllowed) throw new ForbiddenException('Not you.');
    return true;
  }
}

/** A pipe of the application's own: marks what it has seen. */
class MarkingPipe implements PipeTransform {
  transform(value: unknown, { type }: ArgumentMetadata): unknown {
    return type === 'body' && typeof value === 'object' ? { ...value, isMarked: true } : value;
  }
}

/** A bound of the application's own on the whole answer. */
class ImpatientInterceptor implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(timeout(30));
  }
}

@Disaggregated()
@UseGuards(DoorGuard)
@Controller()
class StoryController {
  @Post('story')
  @HttpCode(200)
  story(@Body(MarkingPipe) body: StoryDto, @Leg() leg: InferenceRequest): unknown {
    return script.handler(leg, body);
  }

  @Post('untyped')
  @HttpCode(200)
  untyped(@Body() body: unknown): unknown {
    return { got: body };
  }

  @Post('field')
  @HttpCode(200)
  field(@Body('prompt') prompt: string): unknown {
    return { got: prompt };
  }

  @Post('leg')
  @HttpCode(200)
  leg(@Leg() leg: InferenceRequest): unknown {
    return { api: leg.api };
  }

  @Get('models')
  models(): unknown {
    return { data: [] };
  }
}

@Controller()
class ImpatientController {
  @Post('impatient')
  @HttpCode(200)
  @Disaggregated()
  @UseInterceptors(ImpatientInterceptor)
  story(@Body() body: StoryDto, @Leg() leg: InferenceRequest): unknown {
    return script.handler(leg, body);
  }
}

/** An application that is listening. */
export interface Running {
  readonly port: number;
  readonly inFlight: InFlight;
  readonly managers: ManagerRegistry;
  readonly records: RequestRecords;
  readonly explainer: Explainer;
  /** What shows whether anything was done. */
  readonly probes: {
    readonly counters: DispatchCounters;
    readonly pickers: EndpointPickers;
    readonly pools: readonly RemotePool[];
    readonly client: RemoteClient;
  };
}

const opened: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

/** Starts the application with a new script; it is closed when the test has ended. */
export async function run(options: CoordinationOptions = { connector: 'embedded' }): Promise<Running> {
  Object.assign(script, freshScript());
  const module = await Test.createTestingModule({
    imports: [
      CoordinationModule.forRoot({
        ...options,
        providers: [
          ScriptedManager,
          { provide: CoordinationObserver, useClass: RecordingObserver },
          { provide: Callers, useClass: ScriptedCallers },
          { provide: RequestCheck, useClass: ScriptedCheck },
        ],
      }),
    ],
    controllers: [StoryController, ImpatientController],
  }).compile();
  const app = module.createNestApplication<NestFastifyApplication>(
    new FastifyAdapter({ forceCloseConnections: true }),
    { logger: false },
  );
  await app.listen(0, '127.0.0.1');
  opened.push(() => app.close());
  const { port } = app.getHttpServer().address() as AddressInfo;
  return {
    port,
    inFlight: app.get(InFlight),
    managers: app.get(ManagerRegistry),
    records: app.get(RequestRecords),
    explainer: app.get(Explainer),
    probes: {
      counters: app.get(DispatchCounters),
      pickers: app.get(EndpointPickers),
      pools: [app.get<RemotePool>(PREFILL_POOL), app.get<RemotePool>(DECODE_POOL)],
      client: app.get<RemoteClient>(PREFILL_CLIENT),
    },
  };
}
