/** What was checked is not so: the message says what was found. */
export class CheckFailure extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'CheckFailure';
  }
}

/** @throws CheckFailure with `why` unless `isSo`. */
export function must(isSo: boolean, why: string): asserts isSo {
  if (!isSo) throw new CheckFailure(why);
}

/** What an error says, with its code if it has one. */
export function saidBy(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && typeof error.code === 'string' ? ` [${error.code}]` : '';
  return `${error.name}: ${error.message}${code}`;
}
