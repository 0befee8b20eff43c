import { invalidRequest, isJsonObject } from '@baton/inference';
import { ApiExtraModels, ApiProperty, getSchemaPath } from '@nestjs/swagger';
import { ChatMessage } from './chat-completion-request.js';
import { isText, refuse } from './fields/checks.js';
import { BooleanField, TextField, TOKEN_ID } from './fields/decorators.js';
import { CheckedField, MISSING, OptionalField, RequiredField, type Check } from './fields/field.js';
import { isMessages } from './fields/messages.js';
import { isTokenIds } from './fields/token-ids.js';

/** Either this or messages, and not both. */
const isTextUnlessMessages: Check = (value, path, owner) => {
  const hasMessages = isJsonObject(owner) && (owner['messages'] ?? undefined) !== undefined;
  const hasPrompt = (value ?? undefined) !== undefined;
  if (hasPrompt && hasMessages) refuse(path, 'must be left out when there are messages');
  if (!hasPrompt && !hasMessages) throw invalidRequest('Either prompt or messages is required.', path, MISSING);
  if (hasPrompt) isText(value, path, owner);
};

/** Body of `POST /tokenize`. Source: vLLM `entrypoints/serve/tokenize`. */
@ApiExtraModels(ChatMessage)
export class TokenizeRequest {
  @TextField({ description: 'A name that GET /v1/models lists.', example: 'demo-stories' })
  model?: string | null;

  @CheckedField(isTextUnlessMessages, {
    required: false,
    type: 'string',
    nullable: true,
    description: 'Text to tokenize; either this or messages.',
    example: 'Once upon a time',
  })
  prompt?: string | null;

  @OptionalField(isMessages, {
    type: 'array',
    items: { $ref: getSchemaPath(ChatMessage) },
    nullable: true,
    description: 'A conversation to tokenize with the chat template of the model.',
  })
  messages?: ChatMessage[] | null;

  @BooleanField({ description: 'Put the begin mark before a prompt.', default: true })
  add_special_tokens?: boolean | null;

  @BooleanField({ description: "End messages with the mark of the assistant's turn.", default: true })
  add_generation_prompt?: boolean | null;

  @BooleanField({ description: 'Also give the text of each token.', default: false })
  return_token_strs?: boolean | null;
}

/** Answer of `POST /tokenize`. */
export class TokenizeResponse {
  @ApiProperty({ type: 'integer', description: 'How many tokens there are.', example: 4 })
  count!: number;

  @ApiProperty({ type: 'integer', description: 'Prompt and answer together, at most.', example: 2048 })
  max_model_len!: number;

  @ApiProperty({ type: 'array', items: TOKEN_ID, example: [1, 15, 29, 7] })
  tokens!: number[];

  @ApiProperty({
    type: 'array',
    items: { type: 'string' },
    required: false,
    description: 'The text of each token; only with return_token_strs.',
  })
  token_strs?: string[];
}

/** Body of `POST /detokenize`. */
export class DetokenizeRequest {
  @TextField({ description: 'A name that GET /v1/models lists.', example: 'demo-stories' })
  model?: string | null;

  @RequiredField(isTokenIds, { description: 'Token ids.', type: 'array', items: TOKEN_ID, example: [15, 29, 7] })
  tokens!: number[];
}

/** Answer of `POST /detokenize`. */
export class DetokenizeResponse {
  @ApiProperty({ description: 'The text of the tokens.', example: 'Once upon a time' })
  prompt!: string;
}
