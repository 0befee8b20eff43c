/** A copy of plain data that nobody can edit, whoever still holds the original. */
export function frozenCopy<T extends object>(data: T): T {
  return deepFreeze(structuredClone(data));
}

function deepFreeze<T extends object>(value: T): T {
  for (const member of Object.values(value) as unknown[]) {
    if (typeof member === 'object' && member !== null) deepFreeze(member);
  }
  return Object.freeze(value);
}
