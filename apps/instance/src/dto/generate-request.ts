import { isJsonObject } from '@baton/inference';
import { ApiExtraModels } from '@nestjs/swagger';
import {
  BooleanField,
  NestedField,
  NumberField,
  ObjectField,
  RequiredNestedField,
  TextField,
  TOKEN_ID,
} from './fields/decorators.js';
import { RequiredField, type Check } from './fields/field.js';
import { isSomeTokenIds } from './fields/token-ids.js';
import { notWithStream, onlyWithStream, StreamOptions } from './openai-request.js';
import { EMBEDDED, MaxTokensField, MOST_LOGPROBS, PromptLogprobsField, SamplingFields } from './sampling-fields.js';

/** How the tokens of a generate request are chosen. It knows no `stop`: it answers in tokens, not in text. */
export class SamplingParams extends SamplingFields {
  @MaxTokensField('Longest answer, in tokens. Default: the room that the context leaves.')
  max_tokens?: number | null;

  @NumberField(
    { integer: true, min: -1 },
    {
      description: `Also give the log probabilities of this many of the likeliest tokens. ${MOST_LOGPROBS} ${EMBEDDED} 0 to 20.`,
    },
  )
  logprobs?: number | null;

  @PromptLogprobsField()
  prompt_logprobs?: number | null;

  @ObjectField({ description: 'Extensions; may carry kv_transfer_params.' })
  extra_args?: object | null;
}

/** They stand in the sampling parameters, and whether there is a stream beside these. */
const noPromptLogprobsInStream: Check = (params, path, owner) => {
  if (isJsonObject(params)) notWithStream(params['prompt_logprobs'], `${path}.prompt_logprobs`, owner);
};

/**
 * Body of `POST /inference/v1/generate`: token ids in, token ids out. Unknown fields are passed on to the engine.
 * Source: vLLM `entrypoints/scale_out/token_in_token_out/protocol.py`.
 */
@ApiExtraModels(SamplingParams, StreamOptions)
export class GenerateRequest {
  @TextField({ description: "The client's name for the request." })
  request_id?: string | null;

  @TextField({
    description: 'A name that GET /v1/models lists; left out, the one model of this instance.',
    example: 'demo-stories',
  })
  model?: string | null;

  @RequiredField(isSomeTokenIds, {
    description: 'The prompt, as ids of the vocabulary of the model.',
    type: 'array',
    minItems: 1,
    items: TOKEN_ID,
    example: [1, 15, 29],
  })
  token_ids!: number[];

  @RequiredNestedField(SamplingParams, {
    description: 'How tokens are chosen.',
    also: noPromptLogprobsInStream,
    example: { temperature: 0, max_tokens: 16 },
  })
  sampling_params!: SamplingParams;

  @BooleanField({ description: 'Answer with server-sent events, token by token.', default: false })
  stream?: boolean | null;

  @NestedField(StreamOptions, { description: 'Only with stream.', also: onlyWithStream })
  stream_options?: StreamOptions | null;

  @ObjectField({ description: 'The KV handoff, for legs between instances. Clients leave it out.' })
  kv_transfer_params?: object | null;
}
