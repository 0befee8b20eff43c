import { isJsonObject } from '@baton/inference';
import { ApiExtraModels, ApiProperty, getSchemaPath } from '@nestjs/swagger';
import { all, isNumber, refuse } from './fields/checks.js';
import { BooleanField } from './fields/decorators.js';
import { OptionalField, RequiredField, type Check } from './fields/field.js';
import { isMessages, TEXT_ROLES } from './fields/messages.js';
import { notWithStream, OpenAiRequest } from './openai-request.js';
import { EMBEDDED, MaxTokensField, MOST_LOGPROBS, PromptLogprobsField } from './sampling-fields.js';

/** One turn of a conversation, for the document; what `isMessages` lets pass besides is for engine servers. */
export class ChatMessage {
  @ApiProperty({ enum: TEXT_ROLES, description: 'Who speaks.', example: 'user' })
  role!: string;

  @ApiProperty({
    description: 'What is said: text, or parts of text.',
    oneOf: [
      { type: 'string' },
      {
        type: 'array',
        items: {
          type: 'object',
          required: ['type', 'text'],
          properties: { type: { type: 'string', enum: ['text'] }, text: { type: 'string' } },
        },
      },
    ],
    example: 'Tell me a story about an owl.',
  })
  content!: string | object[];
}

const onlyWithLogprobs: Check = (value, path, owner) => {
  if (value !== 0 && isJsonObject(owner) && owner['logprobs'] !== true)
    refuse(path, 'is only allowed when logprobs is true');
};

/** Body of `POST /v1/chat/completions`. Unknown fields are passed on to the engine. Source: OpenAI API; vLLM. */
@ApiExtraModels(ChatMessage)
export class ChatCompletionRequest extends OpenAiRequest {
  @RequiredField(isMessages, {
    description: 'The conversation so far.',
    type: 'array',
    minItems: 1,
    items: { $ref: getSchemaPath(ChatMessage) },
    example: [{ role: 'user', content: 'Tell me a story about an owl.' }],
  })
  messages!: ChatMessage[];

  @MaxTokensField('Longest answer, in tokens. Default: the room that the context leaves.')
  max_completion_tokens?: number | null;

  @MaxTokensField('The older name of max_completion_tokens.')
  max_tokens?: number | null;

  @BooleanField({ description: 'Also give log probabilities.' })
  logprobs?: boolean | null;

  @OptionalField(all(isNumber({ integer: true, min: -1 }), onlyWithLogprobs), {
    description: `Of how many of the likeliest tokens. ${MOST_LOGPROBS} Only with logprobs. ${EMBEDDED} 0 to 20.`,
    type: 'integer',
    minimum: -1,
    nullable: true,
  })
  top_logprobs?: number | null;

  @PromptLogprobsField(notWithStream)
  prompt_logprobs?: number | null;
}
