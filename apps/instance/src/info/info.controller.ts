import type { Engine } from '@baton/engines';
import { Controller, Get, Inject } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { INSTANCE_CONFIG } from '../config/config.token.js';
import { InstanceConfig } from '../config/instance-config.js';
import { Info } from '../dto/info.js';
import { ENGINE } from '../engine/engine.token.js';
import { ApiErrors } from '../openapi/api-errors.decorator.js';
import { packageVersion } from '../package-version.js';
import { PeersOnly } from '../security/access.js';

/** What this instance is, for other instances: a coordinator asks before it hands KV over. */
@ApiTags('operation')
@Controller('/baton/v1/info')
export class InfoController {
  readonly #version = packageVersion();

  constructor(
    @Inject(ENGINE) private readonly engine: Engine,
    @Inject(INSTANCE_CONFIG) private readonly config: InstanceConfig,
  ) {}

  @Get()
  @PeersOnly()
  @ApiOperation({ summary: 'What this instance is' })
  @ApiErrors(403)
  @ApiOkResponse({ description: 'What it is.', type: Info })
  info(): Info {
    const { connectors } = this.engine;
    return { name: 'baton', version: this.#version, engine: this.config.engine.kind, connectors };
  }
}
