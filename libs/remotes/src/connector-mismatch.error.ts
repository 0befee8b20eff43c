import { InferenceError } from '@baton/inference';

/** Prefill and decode do not speak the same KV transfer protocol, or not in the same way: a matter of configuration. */
export class ConnectorMismatchError extends InferenceError {
  constructor(message: string, cause?: unknown) {
    super(message, { status: 502, code: 'connector_mismatch', type: 'server_error', cause });
  }
}
