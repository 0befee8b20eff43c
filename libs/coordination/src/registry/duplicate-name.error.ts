/** Two classes were registered under one name. */
export class DuplicateNameError extends Error {
  override readonly name = 'DuplicateNameError';

  constructor(kind: string, name: string, first: string, second: string) {
    super(`Two ${kind}s are named "${name}": ${first} and ${second}. Rename one of them.`);
  }
}
