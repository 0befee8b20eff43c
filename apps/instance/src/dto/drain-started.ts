import { ApiProperty } from '@nestjs/swagger';

/** Answer of `POST /admin/drain`. */
export class DrainStarted {
  @ApiProperty({ enum: ['draining'] })
  status!: 'draining';
}
