import { VirtualTime } from '../time/virtual-time.js';
import type { ConformanceCheck, ConformanceReport } from './report.js';
import { CheckFailure, saidBy } from './check-failure.js';
import { strayErrors } from './stray-errors.js';

/** A check: fails by throwing. What it returns is said of it although it is passed. */
export interface Check<Context> {
  readonly name: string;
  run(context: Context): Promise<string | void>;
}

/** What nobody caught while the other checks ran is a check as well. */
const NOTHING_UNCAUGHT = 'leaves no error uncaught and no rejection unhandled';

/** Runs each check in virtual time, with a context of its own. */
export async function runChecks<Context>(
  subject: string,
  checks: readonly Check<Context>[],
  contextOf: (time: VirtualTime) => Context,
): Promise<ConformanceReport> {
  const results: ConformanceCheck[] = [];
  /** What was found, and while which checks. */
  const strays = new Map<string, string[]>();
  for (const check of checks) {
    const watch = strayErrors();
    results.push(
      await VirtualTime.run(async (time) => {
        const result = await outcomeOf(check, contextOf(time));
        await time.settle();
        for (const error of [...time.thrown, ...watch.stop()]) {
          const said = saidBy(error);
          strays.set(said, [...new Set([...(strays.get(said) ?? []), check.name])]);
        }
        return result;
      }),
    );
  }
  const found = [...strays].map(([said, [first = '', ...more]]) => {
    return `${said} (in "${first}"${more.length > 0 ? ` and ${more.length} more` : ''})`;
  });
  results.push({
    name: NOTHING_UNCAUGHT,
    passed: found.length === 0,
    ...(found.length > 0 ? { why: found.join('\n') } : {}),
  });
  return { subject, checks: results, passed: results.every(({ passed }) => passed) };
}

async function outcomeOf<Context>(check: Check<Context>, context: Context): Promise<ConformanceCheck> {
  const { name } = check;
  try {
    const why = await check.run(context);
    return { name, passed: true, ...(typeof why === 'string' ? { why } : {}) };
  } catch (error) {
    return { name, passed: false, why: error instanceof CheckFailure ? error.message : `It failed: ${saidBy(error)}` };
  }
}
