import { applyDecorators } from '@nestjs/common';
import { ApiResponse } from '@nestjs/swagger';
import { ErrorBody } from '../dto/error-body.js';
import { ERROR_DESCRIPTIONS, type ErrorStatus } from './error-responses.js';

/** Documents the errors of a route. */
export function ApiErrors(...statuses: readonly ErrorStatus[]): MethodDecorator {
  return applyDecorators(
    ...statuses.map((status) => ApiResponse({ status, description: ERROR_DESCRIPTIONS[status], type: ErrorBody })),
  );
}
