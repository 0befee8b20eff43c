import { InferenceError } from '@baton/inference';
import type { DialectName } from '@baton/remotes';

/** A 501: servers of this dialect do not have what is asked for. */
export function notSupported(dialect: DialectName, what: string): InferenceError {
  return new InferenceError(`The engine server has no ${what} (its dialect is "${dialect}").`, {
    status: 501,
    code: 'not_supported',
  });
}
