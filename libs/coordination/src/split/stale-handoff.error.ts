import { InferenceError } from '@baton/inference';

/** Half the lease of a handoff was over before D could be sent. Its split makes it good; a client never sees it. */
export class StaleHandoffError extends InferenceError {
  constructor() {
    super('The handoff is too old to be decoded.', { status: 503, type: 'server_error', code: 'stale_handoff' });
  }
}
