import { ApiProperty } from '@nestjs/swagger';

/** Answer of `GET /baton/v1/info`. */
export class Info {
  @ApiProperty({ enum: ['baton'] })
  name!: 'baton';

  @ApiProperty({ example: '0.1.0' })
  version!: string;

  @ApiProperty({ enum: ['embedded', 'http', 'none'], description: 'What computes here.' })
  engine!: string;

  @ApiProperty({
    type: 'array',
    items: { type: 'string' },
    description: 'The KV connectors whose handoffs the engine takes part in; empty when it does not say.',
    example: ['embedded'],
  })
  connectors!: readonly string[];
}
