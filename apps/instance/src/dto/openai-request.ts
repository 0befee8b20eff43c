import { isJsonObject } from '@baton/inference';
import { ApiExtraModels } from '@nestjs/swagger';
import { refuse } from './fields/checks.js';
import { BooleanField, NestedField, ObjectField, TextField } from './fields/decorators.js';
import { OptionalField, type Check } from './fields/field.js';
import { isStop, MAX_STOP_LENGTH, MAX_STOP_STRINGS } from './fields/stop.js';
import { SamplingFields } from './sampling-fields.js';

const STOP_STRING = { type: 'string', minLength: 1, maxLength: MAX_STOP_LENGTH };

/** What a stream carries besides its tokens. */
export class StreamOptions {
  @BooleanField({ description: 'End the stream with a chunk that has no choices but the usage of the whole request.' })
  include_usage?: boolean | null;
}

/** As OpenAI's API and vLLM have it: options of a stream that is none are a mistake worth telling. */
export const onlyWithStream: Check = (_value, path, owner) => {
  if (isJsonObject(owner) && owner['stream'] !== true) refuse(path, 'is only allowed when stream is true');
};

/** Log probabilities of the prompt come with the whole answer only. 0 asks for none. Source: vLLM. */
export const notWithStream: Check = (value, path, owner) => {
  if (typeof value === 'number' && value !== 0 && isJsonObject(owner) && owner['stream'] === true) {
    refuse(path, 'is not available when stream is true');
  }
};

/** What the two OpenAI APIs have in common. */
@ApiExtraModels(StreamOptions)
export abstract class OpenAiRequest extends SamplingFields {
  @TextField({
    description: 'A name that GET /v1/models lists; left out, the one model of this instance.',
    example: 'demo-stories',
  })
  model?: string | null;

  @BooleanField({ description: 'Answer with server-sent events, token by token.', default: false })
  stream?: boolean | null;

  @NestedField(StreamOptions, { description: 'Only with stream.', also: onlyWithStream })
  stream_options?: StreamOptions | null;

  @OptionalField(isStop, {
    description: `Text at which the answer ends; it is not part of the answer. At most 16 of them, unless this instance allows more.`,
    oneOf: [STOP_STRING, { type: 'array', maxItems: MAX_STOP_STRINGS, items: STOP_STRING }],
    nullable: true,
    example: ['\n\n'],
  })
  stop?: string | string[] | null;

  @TextField({ description: "The end user's name; not used." })
  user?: string | null;

  @ObjectField({ description: 'The KV handoff, for legs between instances. Clients leave it out.' })
  kv_transfer_params?: object | null;
}
