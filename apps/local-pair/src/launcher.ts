import { readFileSync } from 'node:fs';

const POLL_INTERVAL_MS = 1_000;

/** How npm left: its shell passed a SIGTERM on by ending itself, or npm was killed and told nobody. */
export type LauncherEnd = 'asked' | 'killed';

/**
 * Tells when the npm that runs this script has gone; a killed npm takes nobody along, and this process would
 * serve on unseen. npm starts a script through a shell, which some systems keep between npm and the script.
 * Never calls back when npm is not there.
 */
export function watchLauncher(env: NodeJS.ProcessEnv, ended: (how: LauncherEnd) => void): void {
  if (env['npm_lifecycle_event'] === undefined) return;
  const parent = process.ppid;
  const shellParent = isShell(parent) ? parentOf(parent) : undefined;
  const poll = setInterval(() => {
    const hasParentGone = process.ppid !== parent;
    const hasNpmGone = shellParent === undefined ? hasParentGone : !hasParentGone && parentOf(parent) !== shellParent;
    if (!hasParentGone && !hasNpmGone) return;
    clearInterval(poll);
    ended(hasNpmGone ? 'killed' : 'asked');
  }, POLL_INTERVAL_MS);
  poll.unref();
}

/** Whether `pid` is a shell that runs one command: `sh -c '...'`. False where there is no /proc. */
function isShell(pid: number): boolean {
  return readProc(pid, 'cmdline')?.split('\0')[1] === '-c';
}

/** The parent of `pid`, or undefined. The name in /proc/<pid>/stat is in brackets and may hold anything. */
function parentOf(pid: number): number | undefined {
  const stat = readProc(pid, 'stat');
  const [, parent] = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? [];
  return parent === undefined ? undefined : Number(parent);
}

function readProc(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return undefined;
  }
}
