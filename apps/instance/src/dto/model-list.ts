import { ApiProperty } from '@nestjs/swagger';

/** A model that this instance serves. */
export class Model {
  @ApiProperty({ description: 'The name that requests use.', example: 'demo-stories' })
  id!: string;

  @ApiProperty({ enum: ['model'] })
  object!: 'model';

  @ApiProperty({ type: 'integer', description: 'Unix time in seconds.', example: 1795000000 })
  created!: number;

  @ApiProperty({ example: 'baton' })
  owned_by!: string;

  @ApiProperty({
    type: 'integer',
    nullable: true,
    description: 'Prompt and answer together, in tokens; null when the engine does not say.',
    example: 2048,
  })
  max_model_len!: number | null;
}

/** Answer of `GET /v1/models`. */
export class ModelList {
  @ApiProperty({ enum: ['list'] })
  object!: 'list';

  @ApiProperty({ type: [Model] })
  data!: Model[];
}
