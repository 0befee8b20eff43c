import { InferenceError } from './inference-error.js';

/** How long the client gives the whole answer, in ms; on a leg, what is left of that. */
export const TIMEOUT_HEADER = 'x-request-timeout-ms';

/** The longest time that a timer of Node.js can wait; anything above would fire at once. */
export const MAX_TIMER_MS = 2_147_483_647;

/** The 504 of a request whose answer was not there in time. */
export function deadlineExceeded(): InferenceError {
  return new InferenceError('The answer was not there in the time that the request has.', {
    status: 504,
    code: 'deadline_exceeded',
  });
}
