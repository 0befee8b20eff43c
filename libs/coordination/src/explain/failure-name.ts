import { InferenceError } from '@baton/inference';
import { RemoteUnavailableError } from '@baton/remotes';

/** What failed, without its message: engines repeat prompts in theirs. */
export function failureName(error: unknown): string {
  if (error instanceof RemoteUnavailableError) return error.reason;
  if (error instanceof InferenceError) return `${error.status} ${error.code ?? error.type}`;
  return error instanceof Error ? error.name : typeof error;
}
