import { applyDecorators, type Type } from '@nestjs/common';
import { ApiExtraModels, ApiOkResponse, ApiOperation, getSchemaPath } from '@nestjs/swagger';
import { ApiErrors } from './api-errors.decorator.js';

/** Documents a route that answers whole, or as a stream when the body says `"stream": true`. */
export function ApiInference(route: { summary: string; answer: Type; chunk: Type }): MethodDecorator {
  return applyDecorators(
    ApiOperation({ summary: route.summary, description: DESCRIPTION }),
    ApiExtraModels(route.answer, route.chunk),
    ApiOkResponse({
      description:
        'The answer. As a stream, each event is `data: ` and the JSON described here; the last is `data: [DONE]`. ' +
        'A stream that fails ends with an event that holds an ErrorBody, and then `data: [DONE]`.',
      content: {
        'application/json': { schema: { $ref: getSchemaPath(route.answer) } },
        'text/event-stream': { schema: { $ref: getSchemaPath(route.chunk) } },
      },
    }),
    ApiErrors(400, 403, 404, 413, 415, 429, 500, 502, 503, 504),
  );
}

const DESCRIPTION =
  'Prefill may run on this instance and decode on another; `x-baton-manager` says who decided. The body is checked ' +
  'before any work is started. Unknown fields are passed on to the engine.';
