import { Controller, Get, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiServiceUnavailableResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Liveness, Readiness } from '../dto/health.js';
import { OpenToAll } from '../security/access.js';
import { ReadinessService } from './readiness.service.js';

/** For balancers and supervisors. */
@ApiTags('operation')
@Controller('/health')
export class HealthController {
  constructor(private readonly readiness: ReadinessService) {}

  @Get('live')
  @OpenToAll()
  @ApiOperation({ summary: 'Whether the process runs; a supervisor may restart it otherwise' })
  @ApiOkResponse({ description: 'It runs.', type: Liveness })
  live(): Liveness {
    return { status: 'live' };
  }

  @Get('ready')
  @OpenToAll()
  @ApiOperation({ summary: 'Whether requests should be sent here' })
  @ApiOkResponse({ description: 'They should.', type: Readiness })
  @ApiServiceUnavailableResponse({ description: 'They should not, for the reason given.', type: Readiness })
  async ready(@Res({ passthrough: true }) reply: FastifyReply): Promise<Readiness> {
    const readiness = await this.readiness.check();
    void reply.code(readiness.status === 'ready' ? 200 : 503);
    return readiness;
  }
}
