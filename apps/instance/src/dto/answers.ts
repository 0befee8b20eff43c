import { ApiExtraModels, ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { TOKEN_ID } from './fields/decorators.js';

/** Tokens read and written. */
export class Usage {
  @ApiProperty({ type: 'integer', example: 5 })
  prompt_tokens!: number;

  @ApiProperty({ type: 'integer', example: 64 })
  completion_tokens!: number;

  @ApiProperty({ type: 'integer', example: 69 })
  total_tokens!: number;

  @ApiPropertyOptional({
    type: 'object',
    nullable: true,
    description: 'How the prompt was read.',
    properties: { cached_tokens: { type: 'integer', description: 'Read before, for another request.', example: 0 } },
  })
  prompt_tokens_details?: object | null;
}

const FINISH_REASON = {
  type: 'string',
  nullable: true,
  description: 'Why the answer ended: stop, length, or another word of the engine; null while it goes on.',
  example: 'length',
} as const;
const LOGPROBS = { type: 'object', nullable: true, additionalProperties: true };
const USAGE = { type: Usage, nullable: true };
const KV = {
  type: 'object',
  nullable: true,
  additionalProperties: true,
  description: 'The KV handoff, between instances.',
} as const;

/** The fields that every OpenAI answer has. */
abstract class OpenAiAnswer {
  @ApiProperty({ example: 'cmpl-3f6b' })
  id!: string;

  @ApiProperty({ type: 'integer', description: 'Unix time in seconds.', example: 1795000000 })
  created!: number;

  @ApiProperty({ example: 'demo-stories' })
  model!: string;
}

const choice = (properties: Readonly<Record<string, object>>): object => ({
  type: 'array',
  items: {
    type: 'object',
    required: ['index', ...Object.keys(properties), 'finish_reason'],
    properties: {
      index: { type: 'integer', example: 0 },
      ...properties,
      logprobs: LOGPROBS,
      finish_reason: FINISH_REASON,
    },
  },
});

const TEXT_CHOICES = choice({ text: { type: 'string', example: ', there was an owl.' } });

/** Answer of `POST /v1/completions`. */
@ApiExtraModels(Usage)
export class Completion extends OpenAiAnswer {
  @ApiProperty({ enum: ['text_completion'] })
  object!: string;

  @ApiProperty(TEXT_CHOICES)
  choices!: object[];

  @ApiProperty(USAGE)
  usage!: Usage;

  @ApiPropertyOptional(KV)
  kv_transfer_params?: object | null;
}

/** One event of a streamed completion. */
@ApiExtraModels(Usage)
export class CompletionChunk extends OpenAiAnswer {
  @ApiProperty({ enum: ['text_completion'] })
  object!: string;

  @ApiProperty(TEXT_CHOICES)
  choices!: object[];

  @ApiProperty({ ...USAGE, required: false })
  usage?: Usage | null;
}

/** Answer of `POST /v1/chat/completions`. */
@ApiExtraModels(Usage)
export class ChatCompletion extends OpenAiAnswer {
  @ApiProperty({ enum: ['chat.completion'] })
  object!: string;

  @ApiProperty(
    choice({
      message: {
        type: 'object',
        required: ['role', 'content'],
        properties: {
          role: { type: 'string', example: 'assistant' },
          content: { type: 'string', nullable: true, example: 'There was an owl.' },
        },
      },
    }),
  )
  choices!: object[];

  @ApiProperty(USAGE)
  usage!: Usage;

  @ApiPropertyOptional(KV)
  kv_transfer_params?: object | null;
}

/** One event of a streamed chat completion. */
@ApiExtraModels(Usage)
export class ChatCompletionChunk extends OpenAiAnswer {
  @ApiProperty({ enum: ['chat.completion.chunk'] })
  object!: string;

  @ApiProperty(
    choice({
      delta: {
        type: 'object',
        properties: {
          role: { type: 'string', example: 'assistant' },
          content: { type: 'string', nullable: true, example: ' owl' },
        },
      },
    }),
  )
  choices!: object[];

  @ApiProperty({ ...USAGE, required: false })
  usage?: Usage | null;
}

const TOKEN_CHOICES = choice({ token_ids: { type: 'array', items: TOKEN_ID, example: [29] } });

/** Answer of `POST /inference/v1/generate`. */
@ApiExtraModels(Usage)
export class GenerateResponse {
  @ApiProperty({ example: 'generate-tokens-3f6b' })
  request_id!: string;

  @ApiProperty(TOKEN_CHOICES)
  choices!: object[];

  @ApiProperty({ ...USAGE, required: false })
  usage?: Usage | null;

  @ApiPropertyOptional(KV)
  kv_transfer_params?: object | null;
}

/** One event of a streamed generate answer. */
@ApiExtraModels(Usage)
export class GenerateChunk {
  @ApiProperty({ example: 'generate-tokens-3f6b' })
  request_id!: string;

  @ApiProperty(TOKEN_CHOICES)
  choices!: object[];

  @ApiProperty({ ...USAGE, required: false })
  usage?: Usage | null;
}
