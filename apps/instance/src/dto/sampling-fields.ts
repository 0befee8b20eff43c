import { all, isInteger, isNumber } from './fields/checks.js';
import { BooleanField, NumberField, TokenIdsField } from './fields/decorators.js';
import { OptionalField, type Check } from './fields/field.js';
import { isLogitBias } from './fields/logit-bias.js';

/** Begins what the embedded engine refuses. */
export const EMBEDDED = 'The embedded engine takes';

/** How many log probabilities may be asked for, whatever the engine: the configuration says. */
export const MOST_LOGPROBS =
  'At most 20, unless this instance allows more; -1, for all, only where any number is allowed.';

/** The bounds of `n`, and so of `best_of`. Source: OpenAI API. */
export const CHOICES = { integer: true, min: 1, max: 128 };

/** Engines keep counts of tokens in 32 bits. */
const MAX_COUNT = 2_147_483_647;

/**
 * How tokens are chosen; the same names in every API. The bounds are the widest of the engines of the field: each
 * refuses by itself what it cannot do. Limits of the embedded engine are in the descriptions.
 * Source: OpenAI API; vLLM `SamplingParams`.
 */
export abstract class SamplingFields {
  @NumberField(
    { min: 0 },
    { description: `Randomness; 0 always takes the likeliest token. ${EMBEDDED} at most 2.`, example: 0 },
  )
  temperature?: number | null;

  @NumberField(
    { above: 0, max: 1 },
    { description: 'Choose among the likeliest tokens that together reach this probability.' },
  )
  top_p?: number | null;

  @NumberField(
    { integer: true, min: -1, max: MAX_COUNT },
    { description: 'Choose among this many of the likeliest tokens; 0 or -1 for all.' },
  )
  top_k?: number | null;

  @NumberField(
    { min: 0, max: 1 },
    { description: "Leave out tokens less likely than this share of the likeliest one's probability." },
  )
  min_p?: number | null;

  @OptionalField(isInteger, { description: 'Makes sampling repeatable.', type: 'integer', nullable: true, example: 7 })
  seed?: number | bigint | null;

  @TokenIdsField({ description: `Token ids at which the answer ends. ${EMBEDDED} at most 1,024.` })
  stop_token_ids?: number[] | null;

  @NumberField(
    { integer: true, min: 0, max: MAX_COUNT },
    { description: 'Do not end the answer before this many tokens; at most as many as the longest answer.' },
  )
  min_tokens?: number | null;

  @BooleanField({ description: "Go on past the model's end mark." })
  ignore_eos?: boolean | null;

  @NumberField(CHOICES, {
    description: `How many answers to give; more than 1 are given by one instance alone. ${EMBEDDED} at most 8.`,
  })
  n?: number | null;

  @NumberField({ min: -2, max: 2 }, { description: 'Above 0 favours tokens that have not occurred.' })
  presence_penalty?: number | null;

  @NumberField({ min: -2, max: 2 }, { description: 'Above 0 disfavours tokens by how often they occurred.' })
  frequency_penalty?: number | null;

  @NumberField(
    { above: 0 },
    { description: `Above 1 disfavours tokens that occurred; 1 does nothing. ${EMBEDDED} at most 2.` },
  )
  repetition_penalty?: number | null;

  @OptionalField(isLogitBias, {
    description: `Added to the score of token ids, each from -100 to 100. At most 1,024 of them, unless this instance allows more.`,
    type: 'object',
    additionalProperties: { type: 'number', minimum: -100, maximum: 100 },
    nullable: true,
  })
  logit_bias?: object | null;
}

/** A limit of the answer's length, under any of its names. */
export function MaxTokensField(description: string): PropertyDecorator {
  return OptionalField(isNumber({ integer: true, min: 1, max: MAX_COUNT }), {
    description,
    type: 'integer',
    minimum: 1,
    maximum: MAX_COUNT,
    nullable: true,
    example: 64,
  });
}

/** How many log probabilities to give of each token of the prompt. @param also checked after its bounds. */
export function PromptLogprobsField(also: Check = () => undefined): PropertyDecorator {
  return OptionalField(all(isNumber({ integer: true, min: -1 }), also), {
    description:
      'Also give the log probabilities of the prompt, of this many of the likeliest tokens. Not in a stream. ' +
      `${MOST_LOGPROBS} ${EMBEDDED} only 0.`,
    type: 'integer',
    minimum: -1,
    nullable: true,
  });
}
