import { EngineError } from '../../engine/engine-error.js';
import type { ErrorWriter } from '../../http/error-body.js';

const TYPES: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  501: 'not_supported_error',
  503: 'unavailable_error',
};

/** llama-server's shape. */
export const llamaError: ErrorWriter = ({ status, message }) => ({
  error: { code: status, message, type: TYPES[status] ?? 'server_error' },
});

/** What everything is answered with while the model loads. */
export const loadingError = (): EngineError => new EngineError(503, 'Loading model');
