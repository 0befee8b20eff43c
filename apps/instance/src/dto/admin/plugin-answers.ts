import type { PluginErrorCode, PluginStatus } from '@baton/coordination';
import { ApiProperty, ApiPropertyOptional, type ApiPropertyOptions } from '@nestjs/swagger';

/** A plugin that the instance knows. */
export class Plugin {
  @ApiProperty({ example: '@acme/affinity' })
  name!: string;

  @ApiProperty({ example: '1.0.0' })
  version!: string;

  @ApiProperty({ enum: ['loaded', 'refused', 'switched_off', 'draining', 'unloaded'] })
  status!: PluginStatus;

  @ApiProperty({ type: [String], description: 'What it provides, by kind and name.', example: ['manager:affinity'] })
  provides!: string[];

  @ApiProperty({ example: '/opt/plugins/affinity' })
  directory!: string;

  @ApiProperty({ description: 'What pluginHost.lock can name. Empty for one that was refused before it was read.' })
  contentHash!: string;

  @ApiProperty({ type: 'integer', description: 'Times that it was loaded.', example: 1 })
  loads!: number;

  @ApiProperty({ type: 'integer', description: 'Faults, of loading and of its managers.', example: 0 })
  failures!: number;

  @ApiPropertyOptional({ description: 'Why it does not take part.' })
  reason?: string;

  @ApiPropertyOptional({ description: 'What can be done about that.' })
  fix?: string;

  @ApiPropertyOptional({ type: 'string', description: 'The same for programs.', example: 'plugin_import_failed' })
  code?: PluginErrorCode;

  @ApiPropertyOptional({ format: 'date-time', description: 'When it was loaded last.' })
  loadedAt?: string;
}

/** Answer of `GET /admin/plugins`. */
export class PluginList {
  @ApiProperty({ type: [Plugin], description: 'Every plugin that is known, by name.' })
  plugins!: Plugin[];

  @ApiProperty({
    type: 'integer',
    description: 'Contents of plugins that this process has imported; pluginHost.maxLoads bounds them.',
    example: 1,
  })
  imports!: number;
}

const NAMES = { type: 'array', items: { type: 'string' }, example: ['@acme/affinity'] } satisfies ApiPropertyOptions;

/** Answer of `POST /admin/plugins`. */
export class PluginScanResult {
  @ApiProperty({ ...NAMES, description: 'Those that were not loaded before, and are now.' })
  loaded!: string[];

  @ApiProperty({ ...NAMES, description: 'Those whose content had changed, and that were replaced.' })
  replaced!: string[];

  @ApiProperty({ ...NAMES, description: 'Those that could not be loaded, or not be replaced.' })
  refused!: string[];

  @ApiProperty({ type: [Plugin], description: 'Every plugin that is known now, by name.' })
  plugins!: Plugin[];
}
