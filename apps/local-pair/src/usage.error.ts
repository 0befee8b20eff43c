/** Something that the person at the terminal can put right; shown as its message alone. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
