import { BooleanField, NumberField, TOKEN_ID } from './fields/decorators.js';
import { RequiredField } from './fields/field.js';
import { isPrompt } from './fields/prompt.js';
import { notWithStream, OpenAiRequest } from './openai-request.js';
import { CHOICES, EMBEDDED, MaxTokensField, MOST_LOGPROBS, PromptLogprobsField } from './sampling-fields.js';

/**
 * Body of `POST /v1/completions`. Unknown fields are passed on to the engine. The document describes what the embedded
 * engine can do; the check also lets several prompts pass, because an engine server may take them.
 * Source: OpenAI API; vLLM.
 */
export class CompletionRequest extends OpenAiRequest {
  @RequiredField(isPrompt, {
    description:
      'What to continue: text, or token ids; alone or in a list of one. The embedded engine does not support several.',
    oneOf: [
      { type: 'string', minLength: 1 },
      { type: 'array', minItems: 1, maxItems: 1, items: { type: 'string', minLength: 1 } },
      { type: 'array', minItems: 1, items: TOKEN_ID },
      { type: 'array', minItems: 1, maxItems: 1, items: { type: 'array', minItems: 1, items: TOKEN_ID } },
    ],
    example: 'Once upon a time',
  })
  prompt!: string | string[] | number[] | number[][];

  @MaxTokensField('Longest answer, in tokens. Default 16.')
  max_tokens?: number | null;

  @NumberField(
    { integer: true, min: -1 },
    {
      description:
        `Also give the log probabilities of this many of the likeliest tokens. ${MOST_LOGPROBS} ` +
        `${EMBEDDED} 0 to 5, and not with echo.`,
    },
  )
  logprobs?: number | null;

  @PromptLogprobsField(notWithStream)
  prompt_logprobs?: number | null;

  @BooleanField({ description: 'Repeat the prompt before the answer.' })
  echo?: boolean | null;

  @NumberField(CHOICES, { description: `How many answers to choose from. ${EMBEDDED} only the value of n.` })
  best_of?: number | null;
}
