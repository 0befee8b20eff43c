/** An orderly stop without a parent that waits for it takes no longer. */
const ORPHAN_EXIT_MS = 3_000;

/**
 * Makes sure that this process does not outlive the one that forked it, whatever state it is in: while it starts, or
 * when its orderly stop hangs. Nothing happens to a process that was started otherwise.
 */
export function exitWithParent(): void {
  // Gone while the modules were loaded: the event has been and will not come again.
  if (process.connected === false) process.exit(1);
  process.once('disconnect', () => setTimeout(() => process.exit(1), ORPHAN_EXIT_MS));
}
