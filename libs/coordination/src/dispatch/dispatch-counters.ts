/** How often a manager was asked since it is there, and what it said. */
export interface ManagerCounters {
  /** Asked in earnest: what it took, declined and refused, and what failed while it was asked. */
  readonly asked: number;
  readonly took: number;
  readonly declined: number;
  /** Refused with an error that was meant for the client. */
  readonly refused: number;
  /** Threw, or answered with what is no answer; of a plugin's manager also when that came of a request that it took. */
  readonly failed: number;
  /** Not asked, because its condition did not hold or the request was not of its share. */
  readonly skipped: number;
  readonly shadowTook: number;
  readonly shadowDeclined: number;
  readonly shadowFailed: number;
}

const NONE: ManagerCounters = {
  asked: 0,
  took: 0,
  declined: 0,
  refused: 0,
  failed: 0,
  skipped: 0,
  shadowTook: 0,
  shadowDeclined: 0,
  shadowFailed: 0,
};

/** The counters of all managers, by name. A manager that is replaced by one of the same name goes on with its counters. */
export class DispatchCounters {
  readonly #byName = new Map<string, Record<keyof ManagerCounters, number>>();

  /** Counts one more. */
  count(manager: string, what: keyof ManagerCounters): void {
    let counters = this.#byName.get(manager);
    if (counters === undefined) this.#byName.set(manager, (counters = { ...NONE }));
    counters[what] += 1;
  }

  /** The present counters of a manager; all 0 when it was never asked. */
  of(manager: string): ManagerCounters {
    return { ...(this.#byName.get(manager) ?? NONE) };
  }

  /** Drops the counters of a manager that is gone. */
  forget(manager: string): void {
    this.#byName.delete(manager);
  }
}
