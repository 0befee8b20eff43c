import { invalidRequest, isJsonObject } from '@baton/inference';
import { ApiExtraModels, ApiProperty, getSchemaPath } from '@nestjs/swagger';
import {
  Completion,
  ChatCompletion,
  CompletionChunk,
  ChatCompletionChunk,
  GenerateChunk,
  GenerateResponse,
} from './answers.js';
import { isObject, refuse } from './fields/checks.js';
import { BooleanField, NumberField, ObjectField, TextField, TOKEN_ID, TokenIdsField } from './fields/decorators.js';
import { CheckedField, MISSING, OptionalField, type Check } from './fields/field.js';

/** There when the body says, or does not say, `"stream": true`; an object or a list of objects. */
const requiredWhen =
  (isStream: boolean, check: Check): Check =>
  (value, path, owner) => {
    if ((value ?? undefined) !== undefined) check(value, path, owner);
    else if ((isJsonObject(owner) && owner['stream'] === true) === isStream) {
      throw invalidRequest(`${path} is required.`, path, MISSING);
    }
  };

const isListOf =
  (isItem: Check): Check =>
  (value, path, owner) => {
    if (!Array.isArray(value)) refuse(path, 'must be a list');
    value.forEach((item: unknown, index) => isItem(item, `${path}[${index}]`, owner));
  };

/** What the two derender routes have in common. Streaming is one call for each event, with the state of the last. */
abstract class DerenderRequest {
  @TextField({ description: 'A name that GET /v1/models lists.', example: 'demo-stories' })
  model?: string | null;

  @BooleanField({ description: 'Whether one event of a streamed answer is meant.', default: false })
  stream?: boolean | null;

  @CheckedField(requiredWhen(true, isObject), {
    required: false,
    description: 'One event of a streamed generate answer; required with stream.',
    allOf: [{ $ref: getSchemaPath(GenerateChunk) }],
    nullable: true,
  })
  generate_chunk?: object | null;

  @ObjectField({ description: 'What the call for the event before gave; null for the first.' })
  stream_state?: object | null;
}

/** Body of `POST /v1/chat/completions/derender`. Source: vLLM `entrypoints/scale_out/derender`. */
@ApiExtraModels(GenerateChunk, GenerateResponse)
export class ChatDerenderRequest extends DerenderRequest {
  @CheckedField(requiredWhen(false, isObject), {
    required: false,
    description: 'An answer of POST /inference/v1/generate; required without stream.',
    allOf: [{ $ref: getSchemaPath(GenerateResponse) }],
    nullable: true,
  })
  generate_response?: object | null;

  @NumberField({ integer: true, min: 0 }, { description: 'Length of the prompt, for the usage.' })
  prompt_tokens?: number | null;

  @TokenIdsField({ description: 'The prompt, which text at the begin of an answer may depend on.' })
  prompt_token_ids?: number[] | null;

  @ObjectField({ description: 'The chat request that was rendered.' })
  chat_request?: object | null;
}

/** Body of `POST /v1/completions/derender`: the answers of all prompts of one request. */
@ApiExtraModels(GenerateChunk, GenerateResponse)
export class CompletionDerenderRequest extends DerenderRequest {
  @CheckedField(requiredWhen(false, isListOf(isObject)), {
    required: false,
    description: 'Answers of POST /inference/v1/generate; required without stream.',
    type: 'array',
    items: { $ref: getSchemaPath(GenerateResponse) },
    nullable: true,
  })
  generate_responses?: object[] | null;

  @OptionalField(() => undefined, {
    description: 'Lengths of the prompts, for the usage.',
    type: 'array',
    items: { type: 'integer', minimum: 0 },
    nullable: true,
  })
  prompt_tokens?: number[] | null;

  @OptionalField(() => undefined, {
    description: 'The prompts, which text at the begin of an answer may depend on.',
    type: 'array',
    items: { type: 'array', items: TOKEN_ID },
    nullable: true,
  })
  prompt_token_ids?: number[][] | null;

  @ObjectField({ description: 'The completion request that was rendered.' })
  completion_request?: object | null;
}

const STATE = {
  type: 'object',
  nullable: true,
  additionalProperties: true,
  description: 'To be sent with the next event.',
} as const;

/** Answer to one event of a streamed completion. */
@ApiExtraModels(CompletionChunk)
export class CompletionDerenderStep {
  @ApiProperty({ allOf: [{ $ref: getSchemaPath(CompletionChunk) }], nullable: true })
  chunk!: object | null;

  @ApiProperty(STATE)
  stream_state!: object | null;
}

/** Answer to one event of a streamed chat completion. */
@ApiExtraModels(ChatCompletionChunk)
export class ChatDerenderStep {
  @ApiProperty({ allOf: [{ $ref: getSchemaPath(ChatCompletionChunk) }], nullable: true })
  chunk!: object | null;

  @ApiProperty(STATE)
  stream_state!: object | null;
}

/** What the routes answer, whole and for one event. */
export const DERENDER_ANSWERS = {
  completions: [Completion, CompletionDerenderStep],
  chat: [ChatCompletion, ChatDerenderStep],
} as const;
