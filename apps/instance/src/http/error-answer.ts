import { InferenceError, isJsonObject, typeOfStatus, type OpenAiErrorBody } from '@baton/inference';
import { HttpException } from '@nestjs/common';
import { STATUS_CODES } from 'node:http';
import { AccessError } from '../security/security-errors.js';
import { MethodNotAllowedError } from './method-not-allowed.js';

/** What the client is told of an error. */
export interface ErrorAnswer {
  readonly status: number;
  readonly body: OpenAiErrorBody;
  readonly retryAfterSeconds?: number;
  /** Methods that the route has, for `Allow`. */
  readonly allow?: string;
  /** How to authenticate, for `WWW-Authenticate`. */
  readonly challenge?: string;
}

/** Any thrown value as an answer. Of errors of the server only those that were made for clients say more than that. */
export function errorAnswer(exception: unknown, limits: { readonly bodyLimitBytes: number }): ErrorAnswer {
  if (exception instanceof InferenceError) return ofInferenceError(exception);
  if (exception instanceof HttpException) {
    const response = exception.getResponse();
    const retryAfterSeconds = exception.cause instanceof InferenceError ? exception.cause.retryAfterSeconds : undefined;
    if (isOpenAiBody(response)) return { status: exception.getStatus(), body: response, retryAfterSeconds };
    if (exception.cause instanceof InferenceError) return ofInferenceError(exception.cause);
  }
  // Nest wraps Fastify's errors below 500; the original says more.
  const cause = exception instanceof HttpException ? exception.cause : exception;
  const known = KNOWN_FASTIFY_ERRORS[codeOf(cause)]?.(limits);
  return ofInferenceError(
    known ?? new InferenceError(messageOf(exception), { status: statusOf(exception), code: codeFor(exception) }),
  );
}

function ofInferenceError(error: InferenceError): ErrorAnswer {
  const allow = error instanceof MethodNotAllowedError ? error.allow : undefined;
  const challenge = error.status === 401 && error instanceof AccessError ? 'Bearer' : undefined;
  return { status: error.status, body: error.toBody(), retryAfterSeconds: error.retryAfterSeconds, allow, challenge };
}

type ErrorMaker = (limits: { readonly bodyLimitBytes: number }) => InferenceError;

/** Fastify's errors that clients meet, in our words. Source: Fastify `docs/Reference/Errors.md`. */
const KNOWN_FASTIFY_ERRORS: Readonly<Record<string, ErrorMaker>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ({ bodyLimitBytes }) =>
    new InferenceError(`The request body is larger than the limit of ${bodyLimitBytes} bytes.`, {
      status: 413,
      code: 'request_too_large',
    }),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: () =>
    new InferenceError('The request body must be JSON, sent with the header content-type: application/json.', {
      status: 415,
      code: 'unsupported_media_type',
    }),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: () =>
    new InferenceError('The request body does not have the length that content-length says.', {
      status: 400,
      code: 'invalid_content_length',
    }),
  FST_ERR_BAD_URL: () => new InferenceError('The URL is not valid.', { status: 400, code: 'invalid_url' }),
  FST_ERR_MAX_PARAM_LENGTH: () => new InferenceError('The URL is too long.', { status: 414, code: 'url_too_long' }),
};

function statusOf(exception: unknown): number {
  const status =
    exception instanceof HttpException
      ? exception.getStatus()
      : isError(exception)
        ? exception['statusCode']
        : undefined;
  return typeof status === 'number' && status >= 400 && status < 600 ? status : 500;
}

function messageOf(exception: unknown): string {
  const status = statusOf(exception);
  if (status === 404 && exception instanceof HttpException) return 'There is no such route.';
  if (status < 500 && isError(exception)) return exception.message;
  return status === 500
    ? 'The server had an error while processing the request.'
    : `The server could not process the request: ${STATUS_CODES[status] ?? 'error'}.`;
}

function codeFor(exception: unknown): string | null {
  const status = statusOf(exception);
  if (status === 404) return 'not_found';
  return status === 500 ? 'internal_error' : null;
}

function codeOf(error: unknown): string {
  return isError(error) && typeof error['code'] === 'string' ? error['code'] : '';
}

function isError(value: unknown): value is Error & Record<string, unknown> {
  return value instanceof Error;
}

function isOpenAiBody(value: unknown): value is OpenAiErrorBody {
  return isJsonObject(value) && isJsonObject(value['error']) && typeof value['error']['message'] === 'string';
}

/** The body for an answer that is written before Fastify has a request. */
export function errorBody(status: number, message: string, code: string): OpenAiErrorBody {
  return { error: { message, type: typeOfStatus(status), param: null, code } };
}
