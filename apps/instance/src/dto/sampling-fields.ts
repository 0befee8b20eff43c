import { isNumber } from './fields/checks.js';
import { BooleanField, NumberField, TokenIdsField } from './fields/decorators.js';
import { OptionalField } from './fields/field.js';
import { isLogitBias, MAX_BIASES } from './fields/logit-bias.js';

/** The bounds of `n`, and so of `best_of`: as many choices as the embedded engine makes of one prompt. */
export const CHOICES = { integer: true, min: 1, max: 8 };
/** As many as the embedded engine looks for. */
const MAX_STOP_TOKENS = 1_024;

/**
 * How tokens are chosen; the same names in every API. The bounds are those of the embedded engine.
 * Source: OpenAI API; vLLM `SamplingParams`.
 */
export abstract class SamplingFields {
  @NumberField({ min: 0, max: 2 }, { description: 'Randomness; 0 always takes the likeliest token.', example: 0 })
  temperature?: number | null;

  @NumberField(
    { above: 0, max: 1 },
    { description: 'Choose among the likeliest tokens that together reach this probability.' },
  )
  top_p?: number | null;

  @NumberField(
    { integer: true, min: -1 },
    { description: 'Choose among this many of the likeliest tokens; 0 or -1 for all.' },
  )
  top_k?: number | null;

  @NumberField(
    { min: 0, max: 1 },
    { description: "Leave out tokens less likely than this share of the likeliest one's probability." },
  )
  min_p?: number | null;

  @NumberField(
    { integer: true, min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER },
    { description: 'Makes sampling repeatable.', example: 7 },
  )
  seed?: number | null;

  @TokenIdsField({ description: 'Token ids at which the answer ends.' }, MAX_STOP_TOKENS)
  stop_token_ids?: number[] | null;

  @NumberField(
    { integer: true, min: 0 },
    { description: 'Do not end the answer before this many tokens; at most as many as the longest answer.' },
  )
  min_tokens?: number | null;

  @BooleanField({ description: "Go on past the model's end mark." })
  ignore_eos?: boolean | null;

  @NumberField(CHOICES, { description: 'How many answers to give; more than 1 is answered by this instance alone.' })
  n?: number | null;

  @NumberField({ min: -2, max: 2 }, { description: 'Above 0 favours tokens that have not occurred.' })
  presence_penalty?: number | null;

  @NumberField({ min: -2, max: 2 }, { description: 'Above 0 disfavours tokens by how often they occurred.' })
  frequency_penalty?: number | null;

  @NumberField({ above: 0, max: 2 }, { description: 'Above 1 disfavours tokens that occurred; 1 does nothing.' })
  repetition_penalty?: number | null;

  @OptionalField(isLogitBias, {
    description: 'Added to the score of token ids, each from -100 to 100.',
    type: 'object',
    maxProperties: MAX_BIASES,
    additionalProperties: { type: 'number', minimum: -100, maximum: 100 },
    nullable: true,
  })
  logit_bias?: object | null;
}

/** A limit of the answer's length, under any of its names. */
export function MaxTokensField(description: string): PropertyDecorator {
  return OptionalField(isNumber({ integer: true, min: 1 }), {
    description,
    type: 'integer',
    minimum: 1,
    nullable: true,
    example: 64,
  });
}
