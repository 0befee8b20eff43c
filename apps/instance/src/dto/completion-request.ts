import { BooleanField, NumberField, TextField, TOKEN_ID } from './fields/decorators.js';
import { RequiredField } from './fields/field.js';
import { isPrompt } from './fields/prompt.js';
import { OpenAiRequest } from './openai-request.js';
import { MaxTokensField } from './sampling-fields.js';

/** Body of `POST /v1/completions`. Unknown fields are passed on to the engine. Source: OpenAI API; vLLM. */
export class CompletionRequest extends OpenAiRequest {
  @RequiredField(isPrompt, {
    description: 'What to continue: text, or token ids.',
    oneOf: [
      { type: 'string', minLength: 1 },
      { type: 'array', minItems: 1, items: { type: 'string', minLength: 1 } },
      { type: 'array', minItems: 1, items: TOKEN_ID },
      { type: 'array', minItems: 1, items: { type: 'array', minItems: 1, items: TOKEN_ID } },
    ],
    example: 'Once upon a time',
  })
  prompt!: string | string[] | number[] | number[][];

  @MaxTokensField('Longest answer, in tokens. Default 16.')
  max_tokens?: number | null;

  @NumberField(
    { integer: true, min: 0, max: 20 },
    { description: 'Also give the log probabilities of this many of the likeliest tokens.' },
  )
  logprobs?: number | null;

  @BooleanField({ description: 'Repeat the prompt before the answer.' })
  echo?: boolean | null;

  @TextField({ description: 'Text that follows the answer.' })
  suffix?: string | null;

  @NumberField({ integer: true, min: 1, max: 128 }, { description: 'Make this many answers and give the best n.' })
  best_of?: number | null;
}
