import { applyDecorators, type Type } from '@nestjs/common';
import { ApiBody, ApiExtraModels, ApiOkResponse, ApiOperation, getSchemaPath } from '@nestjs/swagger';
import { ApiErrors } from './api-errors.decorator.js';

/** Documents a route that renders or derenders. */
export function ApiRender(route: { summary: string; body: Type }): MethodDecorator {
  return applyDecorators(
    ApiOperation({ summary: route.summary }),
    ApiBody({ type: route.body }),
    ApiErrors(400, 404, 413, 415, 500, 501, 502, 503, 504),
  );
}

/** Documents an answer that is one of several. */
export function ApiOneOf(description: string, types: readonly Type[]): MethodDecorator {
  return applyDecorators(
    ApiExtraModels(...types),
    ApiOkResponse({ description, schema: { oneOf: types.map((type) => ({ $ref: getSchemaPath(type) })) } }),
  );
}
