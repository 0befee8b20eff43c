import { NEVER, type Observable } from 'rxjs';
import { DEFAULT_HISTORY, PolicyState, type PolicyVersion } from './policy-state.js';

/** Keeps the versions of the policies as long as the process lives; no other process sees them. */
export class MemoryPolicyState extends PolicyState {
  readonly changed: Observable<void> = NEVER;
  readonly faults: Observable<Error> = NEVER;
  #versions: readonly PolicyVersion[] = [];

  versions(): Promise<readonly PolicyVersion[]> {
    return Promise.resolve(this.#versions);
  }

  commit(after: number, make: (version: number) => PolicyVersion): Promise<PolicyVersion | undefined> {
    if ((this.#versions.at(-1)?.version ?? 0) > after) return Promise.resolve(undefined);
    const version = make(after + 1);
    this.#versions = [...this.#versions, version].slice(-DEFAULT_HISTORY);
    return Promise.resolve(version);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
