/** Whether `value` has entries of its own: a section of a configuration, or a map in a list. */
export function isSection(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
