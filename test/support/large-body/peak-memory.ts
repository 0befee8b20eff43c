import { existsSync, readFileSync, writeFileSync } from 'node:fs';

/** Whether this system tells what a process has in memory (Linux). */
export const tellsMemory = existsSync('/proc/self/status');

const SAMPLE_MS = 2;

/** Measures how far the memory of a process rises above what it has now. */
export class PeakMemory {
  readonly #before: number;
  readonly #hasOwnPeak: boolean;
  #sampled = 0;
  readonly #sampler: NodeJS.Timeout | undefined;

  constructor(private readonly pid: number) {
    this.#before = residentBytes(pid, 'VmRSS');
    this.#hasOwnPeak = resetsPeak(pid);
    if (!this.#hasOwnPeak) this.#sampler = setInterval(() => this.#sample(), SAMPLE_MS);
  }

  /** Ends the measurement. @returns by how many bytes the most was above the beginning. */
  stop(): number {
    clearInterval(this.#sampler);
    this.#sample();
    const peak = this.#hasOwnPeak ? residentBytes(this.pid, 'VmHWM') : this.#sampled;
    return peak - this.#before;
  }

  #sample(): void {
    this.#sampled = Math.max(this.#sampled, residentBytes(this.pid, 'VmRSS'));
  }
}

/** Source: proc_pid_status(5). */
function residentBytes(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const [, kibibytes] =
    new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  if (kibibytes === undefined) throw new Error(`The system does not tell ${field}.`);
  return Number(kibibytes) * 1024;
}

/** Makes `VmHWM` begin anew, where that is permitted. Source: proc_pid_clear_refs(5). */
function resetsPeak(pid: number): boolean {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
    return true;
  } catch {
    return false;
  }
}
