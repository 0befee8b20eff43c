import { isJsonObject } from '@baton/inference';
import { fork, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { shownLine } from './instance-log.js';

/** What an instance tells its parent once it listens. */
export interface InstanceAddress {
  /** Base URL of its HTTP interface. */
  readonly url: string;
  /** Port of its KV side channel; undefined when its engine has none. */
  readonly kvPort: number | undefined;
}

/** How a process ended. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface InstanceProcessOptions {
  /** What the terminal calls it: `prefill` or `decode`. */
  readonly name: string;
  /** The script to run. */
  readonly script: string;
  readonly env: NodeJS.ProcessEnv;
  readonly verbose: boolean;
  /** Takes a line for the terminal. */
  readonly print: (line: string) => void;
}

/** One instance as a child process. It ends itself when this process is gone: its IPC channel closes. */
export class InstanceProcess {
  readonly name: string;
  /** Settles when it listens; rejects when it ended before that. */
  readonly address: Promise<InstanceAddress>;
  /** Settles when it has ended, whatever the reason. */
  readonly ended: Promise<ProcessEnd>;
  readonly #child: ChildProcess;

  constructor(options: InstanceProcessOptions) {
    this.name = options.name;
    this.#child = fork(options.script, [], {
      env: options.env,
      // A process group of its own: Ctrl-C in the terminal reaches the parent alone, which then drains in order.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.#show(this.#child.stdout, 'stdout', options);
    this.#show(this.#child.stderr, 'stderr', options);
    this.ended = new Promise((resolve) => {
      // `close` follows `exit` once the last line of output has been read.
      this.#child.once('close', (code, signal) => resolve({ code, signal }));
      this.#child.on('error', () => resolve({ code: null, signal: null }));
    });
    this.address = this.#readAddress();
    // Whoever waits for `address` sees its failure; nobody has to.
    this.address.catch(() => undefined);
  }

  /**
   * Asks it to drain and end, and ends it by force after `timeoutMs`. Safe to call at any time, also again.
   */
  async stop(timeoutMs: number): Promise<ProcessEnd> {
    this.#child.kill('SIGTERM');
    const force = setTimeout(() => this.kill(), timeoutMs);
    try {
      return await this.ended;
    } finally {
      clearTimeout(force);
    }
  }

  /** Ends it at once. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async #readAddress(): Promise<InstanceAddress> {
    const ready = new Promise<InstanceAddress>((resolve) => {
      this.#child.on('message', (message) => {
        const address = readAddress(message);
        if (address !== undefined) resolve(address);
      });
    });
    const ended = this.ended.then((end) => {
      throw new Error(describeEnd(this.name, end));
    });
    return Promise.race([ready, ended]);
  }

  #show(output: Readable | null, stream: 'stdout' | 'stderr', options: InstanceProcessOptions): void {
    if (output === null) return;
    createInterface({ input: output }).on('line', (line) => {
      const shown = shownLine(line, stream, options.verbose);
      if (shown !== undefined) options.print(`[${this.name}] ${shown}`);
    });
  }
}

/** A sentence that names the instance and how it ended. */
export function describeEnd(name: string, { code, signal }: ProcessEnd): string {
  if (signal !== null) return `The ${name} instance was ended by ${signal}.`;
  if (code === null) return `The ${name} instance could not be started.`;
  return `The ${name} instance ended with exit code ${code}.`;
}

function readAddress(message: unknown): InstanceAddress | undefined {
  if (!isJsonObject(message) || message['type'] !== 'ready') return undefined;
  const { url, kvPort } = message;
  return typeof url === 'string' ? { url, kvPort: typeof kvPort === 'number' ? kvPort : undefined } : undefined;
}
