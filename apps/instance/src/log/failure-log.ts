import type { InferenceError, InferenceRequest } from '@baton/inference';
import { RemoteUnavailableError } from '@baton/remotes';
import type { Logger } from 'pino';

/** Codes may be an upstream's own words. */
const CODE = /^[\w.-]{1,64}$/;

/** One line for each failure. Nothing that an upstream said: it may repeat a prompt. */
export function logFailure(logger: Logger, request: InferenceRequest, error: InferenceError): void {
  const code = error.code !== null && CODE.test(error.code) ? error.code : undefined;
  const upstream =
    error instanceof RemoteUnavailableError
      ? {
          endpoint: error.endpoint,
          ...(error.upstreamStatus !== undefined && { upstreamStatus: error.upstreamStatus }),
        }
      : {};
  logger.warn(
    {
      requestId: request.id,
      caller: request.caller.label,
      ...(code !== undefined && { code }),
      status: error.status,
      ...upstream,
    },
    'A request or a leg of it failed',
  );
}
