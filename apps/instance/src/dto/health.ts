import { ApiProperty } from '@nestjs/swagger';

/** Answer of `GET /health/live`. */
export class Liveness {
  @ApiProperty({ enum: ['live'] })
  status!: 'live';
}

/** Answer of `GET /health/ready`. */
export class Readiness {
  @ApiProperty({ enum: ['ready', 'not_ready'] })
  status!: 'ready' | 'not_ready';

  @ApiProperty({ required: false, description: 'Why it is not ready.', example: 'The instance is shutting down.' })
  reason?: string;
}
