import { ApiResponse } from '@nestjs/swagger';
import { ErrorBody } from '../dto/error-body.js';
import type { ErrorStatus } from './error-responses.js';

/** Documents an error that means something else on this route than elsewhere. */
export function ApiError(status: ErrorStatus, description: string): MethodDecorator {
  return ApiResponse({ status, description, type: ErrorBody });
}
