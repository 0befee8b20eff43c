import { ApiProperty } from '@nestjs/swagger';

/** What went wrong. */
export class ErrorDetail {
  @ApiProperty({ description: 'A sentence for people.', example: 'temperature must be a number from 0 to 2.' })
  message!: string;

  @ApiProperty({ description: 'The class of the error.', example: 'invalid_request_error' })
  type!: string;

  @ApiProperty({
    type: 'string',
    nullable: true,
    description: 'The field at fault, as a path.',
    example: 'temperature',
  })
  param!: string | null;

  @ApiProperty({
    type: 'string',
    nullable: true,
    description: 'A stable word for programs; null where status and param say all.',
    example: null,
  })
  code!: string | null;
}

/** The body of every error, as OpenAI's API sends it. */
export class ErrorBody {
  @ApiProperty({ type: ErrorDetail })
  error!: ErrorDetail;
}
