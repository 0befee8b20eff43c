import { InferenceError } from '@baton/inference';
import { HttpException } from '@nestjs/common';

/**
 * An `InferenceError` as Nest's own exception, so that any application answers it in the OpenAI error shape, also
 * one without a filter of ours. Other errors pass unchanged, to the application's filters.
 */
export function toHttpException(error: unknown): unknown {
  if (!(error instanceof InferenceError)) return error;
  return new HttpException(error.toBody(), error.status, { cause: error });
}
