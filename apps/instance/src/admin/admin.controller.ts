import { Controller, Get, HttpCode, Inject, Post } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { parse } from 'yaml';
import { INSTANCE_CONFIG } from '../config/config.token.js';
import { InstanceConfig } from '../config/instance-config.js';
import { printConfig } from '../config/print-config.js';
import { DrainStarted } from '../dto/drain-started.js';
import { DrainService } from '../lifecycle/drain.service.js';
import { ApiErrors } from '../openapi/api-errors.decorator.js';
import { AdminOnly } from '../security/access.js';

/** For operators. It exists only where an admin key is configured. */
@ApiTags('operation')
@Controller('/admin')
export class AdminController {
  constructor(
    private readonly drain: DrainService,
    @Inject(INSTANCE_CONFIG) private readonly instanceConfig: InstanceConfig,
  ) {}

  @Post('drain')
  @HttpCode(202)
  @AdminOnly()
  @ApiOperation({
    summary: 'Take no more requests',
    description:
      'The instance is not ready from now on, and refuses new requests. Those in flight may end until ' +
      'server.drainTimeoutMs has gone by. The process goes on; nothing takes a drain back.',
  })
  @ApiAcceptedResponse({ description: 'It has begun, or had begun before.', type: DrainStarted })
  @ApiErrors(400, 403, 413, 415, 500)
  beginDrain(): DrainStarted {
    void this.drain.begin();
    return { status: 'draining' };
  }

  @Get('config')
  @AdminOnly()
  @ApiOperation({ summary: 'The configuration in effect, without secrets' })
  @ApiOkResponse({
    description: 'The sections of the configuration; a secret is shown as ***, and so is every option of a plugin.',
    schema: { type: 'object', additionalProperties: true },
  })
  @ApiErrors(403, 500)
  config(): unknown {
    return parse(printConfig(this.instanceConfig));
  }
}
