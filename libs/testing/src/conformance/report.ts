/** One thing that was checked. */
export interface ConformanceCheck {
  /** What must be so. The same for every subject of a kind. */
  readonly name: string;
  readonly passed: boolean;
  /** What was found instead; of a check that is passed, what it could not look at. */
  readonly why?: string;
}

/** What came of checking something that an author wrote. */
export interface ConformanceReport {
  /** What was checked: its kind and its name. */
  readonly subject: string;
  readonly checks: readonly ConformanceCheck[];
  /** Whether all checks are. */
  readonly passed: boolean;
}

/** A report did not say what it should: the message has every check that is not passed. */
export class ConformanceError extends Error {
  constructor(readonly report: ConformanceReport) {
    super(formatReport(report, { failedOnly: true }));
    this.name = 'ConformanceError';
  }
}

/** @throws ConformanceError with every reason, when not every check is passed. */
export function assertConforms(report: ConformanceReport): void {
  if (!report.passed) throw new ConformanceError(report);
}

/** A report for people to read: a line for each check, and below it what was found. */
export function formatReport(report: ConformanceReport, { failedOnly = false } = {}): string {
  const { subject, checks } = report;
  const failed = checks.filter(({ passed }) => !passed).length;
  const summary =
    failed === 0
      ? `${subject} conforms: ${checks.length} checks passed.`
      : `${subject} does not conform: ${failed} of ${checks.length} checks failed.`;
  const lines = checks
    .filter(({ passed }) => !failedOnly || !passed)
    .flatMap(({ name, passed, why }) => [
      `  ${passed ? 'ok    ' : 'FAILED'} ${name}`,
      ...(why === undefined ? [] : why.split('\n').map((line) => `           ${line}`)),
    ]);
  return [summary, ...lines].join('\n');
}
