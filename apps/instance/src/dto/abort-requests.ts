import { refuse } from './fields/checks.js';
import { RequiredField, type Check } from './fields/field.js';

/** More than any instance answers at once. */
const MAX_IDS = 10_000;

const isIds: Check = (value, path) => {
  if (!Array.isArray(value)) refuse(path, 'must be a list of request ids');
  if (value.length > MAX_IDS) refuse(path, `must not name more than ${MAX_IDS} requests`);
  value.forEach((item: unknown, index) => {
    if (typeof item !== 'string') refuse(`${path}[${index}]`, 'must be a string');
  });
};

/** Body of `POST /inference/v1/abort_requests`. Source: vLLM `entrypoints/scale_out`. */
export class AbortRequestsRequest {
  @RequiredField(isIds, {
    description: 'Ids of requests, as the client sent them in `x-request-id` or as their answers name them.',
    type: 'array',
    maxItems: MAX_IDS,
    items: { type: 'string' },
    example: ['generate-tokens-3f6b'],
  })
  request_ids!: string[];
}
