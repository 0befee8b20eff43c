import type { InferenceApi, JsonObject } from '@baton/inference';
import { isJsonObject } from '@baton/inference';
import { isObject, refuse } from '../fields/checks.js';
import { ChoiceField } from '../fields/decorators.js';
import { OptionalField, RequiredField, type Check } from '../fields/field.js';

const MAX_HEADERS = 64;
const MAX_VALUE = 8_192;

const isHeaders: Check = (value, path) => {
  if (!isJsonObject(value)) refuse(path, 'must be an object of texts');
  const entries = Object.entries(value);
  if (entries.length > MAX_HEADERS) refuse(path, `must not have more than ${MAX_HEADERS} headers`);
  for (const [name, text] of entries) {
    if (typeof text !== 'string' || text.length > MAX_VALUE) {
      refuse(`${path}.${name}`, `must be a text of at most ${MAX_VALUE} characters`);
    }
  }
};

/** Body of `POST /admin/explain`. */
export class ExplainRequest {
  @ChoiceField(['completions', 'chat', 'generate'] satisfies InferenceApi[], {
    description: 'The protocol of the request. By default it is told from its body.',
  })
  api?: InferenceApi | null;

  @RequiredField(isObject, {
    type: 'object',
    additionalProperties: true,
    description: 'The body of the request, as a client would send it.',
    example: { messages: [{ role: 'user', content: 'Hello' }], max_tokens: 16 },
  })
  body!: JsonObject;

  @OptionalField(isHeaders, {
    type: 'object',
    nullable: true,
    additionalProperties: { type: 'string' },
    description: 'Its headers, among them x-baton-manager of a load balancer.',
  })
  headers?: Readonly<Record<string, string>> | null;

  @ChoiceField(['client', 'peer'], {
    description: 'Who would send it: headers that choose a manager count for a peer only.',
    default: 'client',
  })
  caller?: 'client' | 'peer' | null;
}
