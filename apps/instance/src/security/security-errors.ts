import { InferenceError } from '@baton/inference';

/** Why a request is refused before it is read. */
export type RefusalReason = 'missing_api_key' | 'invalid_api_key' | 'peers_only' | 'admin_only';

/** A request that its sender may not send. */
export class AccessError extends InferenceError {
  constructor(
    /** More exact than the code that clients see. */
    readonly reason: RefusalReason,
  ) {
    const { message, status, code } = REFUSALS[reason];
    super(message, { status, code });
  }
}

const REFUSALS: Readonly<Record<RefusalReason, { message: string; status: number; code: string }>> = {
  missing_api_key: {
    message: 'This needs an API key: send it in the header authorization, as a bearer token.',
    status: 401,
    code: 'invalid_api_key',
  },
  invalid_api_key: { message: 'The API key is not valid here.', status: 401, code: 'invalid_api_key' },
  peers_only: { message: 'The API key is not one of an instance or an operator.', status: 403, code: 'peers_only' },
  admin_only: { message: 'The API key is not one of an operator.', status: 403, code: 'admin_only' },
};
