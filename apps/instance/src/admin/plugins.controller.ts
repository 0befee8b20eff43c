import { PluginHost, type ChangeAuthor } from '@baton/coordination';
import { InferenceError } from '@baton/inference';
import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Post, Put, Req } from '@nestjs/common';
import { ApiBody, ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { Plugin, PluginList, PluginScanResult } from '../dto/admin/plugin-answers.js';
import { PluginScan } from '../dto/admin/plugin-requests.js';
import { StrictBodyPipe } from '../http/strict-body.pipe.js';
import { LOGGER } from '../log/logger.token.js';
import { ApiError } from '../openapi/api-error.decorator.js';
import { ApiErrors } from '../openapi/api-errors.decorator.js';
import { AdminOnly } from '../security/access.js';
import { operatorOf } from './operator.js';
import { toPlugin, toPluginList, toScanResult } from './plugin-answers.js';

const NAME = {
  name: 'name',
  description: "The name of the plugin's package, with %2F for the slash of a scope.",
  example: '@acme/affinity',
};
const UNKNOWN = 'There is no plugin of that name in pluginDirectories.';

/** What operators do with the host. */
export type PluginOperations = Pick<PluginHost, 'imports' | 'list' | 'load' | 'scan' | 'unload'>;

/** Plugins, while requests run. It exists only where an admin key is configured. */
@ApiTags('operation')
@Controller('/admin/plugins')
export class PluginsController {
  constructor(
    @Inject(PluginHost) private readonly host: PluginOperations,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  @Get()
  @AdminOnly()
  @ApiOperation({ summary: 'The plugins that the instance knows' })
  @ApiOkResponse({ description: 'Them, and how they are.', type: PluginList })
  @ApiErrors(403, 500)
  plugins(): PluginList {
    return toPluginList(this.host);
  }

  @Post()
  @HttpCode(200)
  @AdminOnly()
  @ApiOperation({
    summary: 'Look for plugins',
    description:
      'Loads those that are new in pluginDirectories. Those that cannot be loaded are listed with the reason. With ' +
      'replace, those are replaced whose content has changed.',
  })
  @ApiBody({ type: PluginScan, required: false })
  @ApiOkResponse({ description: 'What came of it, and all plugins.', type: PluginScanResult })
  @ApiErrors(400, 403, 413, 415, 500, 503)
  async scanPlugins(
    @Body(new StrictBodyPipe(PluginScan)) { replace }: PluginScan,
    @Req() http: FastifyRequest,
  ): Promise<PluginScanResult> {
    return this.#audited(http, { action: 'scan' }, async (by) =>
      toScanResult(await this.host.scan({ replace: replace ?? false, by })),
    );
  }

  @Put(':name')
  @AdminOnly()
  @ApiOperation({
    summary: 'Load or replace a plugin',
    description:
      'From its directory. When it cannot be loaded, the one that is loaded stays. Requests that have begun go on with ' +
      'the one that they began with, which is closed after them.',
  })
  @ApiParam(NAME)
  @ApiOkResponse({ description: 'The plugin, loaded.', type: Plugin })
  @ApiErrors(400, 403, 409, 413, 415, 422, 500, 503)
  @ApiError(404, UNKNOWN)
  async loadPlugin(@Param('name') name: string, @Req() http: FastifyRequest): Promise<Plugin> {
    return this.#audited(http, { action: 'load', plugin: name }, async (by) =>
      toPlugin(await this.host.load(name, by)),
    );
  }

  @Delete(':name')
  @AdminOnly()
  @ApiOperation({
    summary: 'Remove a plugin',
    description: 'Requests that have begun go on with it; it is closed after them. Its directory stays.',
  })
  @ApiParam(NAME)
  @ApiOkResponse({ description: 'The plugin, as it is now.', type: Plugin })
  @ApiErrors(400, 403, 409, 413, 415, 500, 503)
  @ApiError(404, UNKNOWN)
  async unloadPlugin(@Param('name') name: string, @Req() http: FastifyRequest): Promise<Plugin> {
    return this.#audited(http, { action: 'unload', plugin: name }, async (by) =>
      toPlugin(await this.host.unload(name, by)),
    );
  }

  /** Writes down who asked for it, and what came of it. */
  async #audited<Answer>(
    http: FastifyRequest,
    what: { readonly action: string; readonly plugin?: string },
    change: (by: ChangeAuthor) => Promise<Answer>,
  ): Promise<Answer> {
    const by: ChangeAuthor = { who: operatorOf(http) };
    const said = { audit: true, ...by, ...what };
    try {
      const answer = await change(by);
      this.logger.info({ ...said, outcome: 'done' }, 'An operator has changed plugins');
      return answer;
    } catch (error) {
      const { code } = InferenceError.from(error);
      this.logger.info({ ...said, outcome: 'refused', code }, 'An operator has changed no plugins');
      throw error;
    }
  }
}
