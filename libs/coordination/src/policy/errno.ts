/** Whether `error` came from the operating system, with `code` when one is given. */
export function isErrno(error: unknown, code?: string): boolean {
  if (typeof error !== 'object' || error === null || !('code' in error) || !('syscall' in error)) return false;
  return code === undefined || error.code === code;
}
