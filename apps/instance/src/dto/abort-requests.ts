import { refuse } from './fields/checks.js';
import { RequiredField, type Check } from './fields/field.js';

const isIds: Check = (value, path) => {
  if (!Array.isArray(value)) refuse(path, 'must be a list of request ids');
  value.forEach((item: unknown, index) => {
    if (typeof item !== 'string') refuse(`${path}[${index}]`, 'must be a string');
  });
};

/** Body of `POST /inference/v1/abort_requests`. Source: vLLM `entrypoints/scale_out`. */
export class AbortRequestsRequest {
  @RequiredField(isIds, {
    description: 'Ids of requests, as the client sent them in `x-request-id` or as their answers name them.',
    type: 'array',
    items: { type: 'string' },
    example: ['generate-tokens-3f6b'],
  })
  request_ids!: string[];
}
