import { sep } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Where the code of a plugin is, whatever became of the plugin. */
export interface CodeHome {
  readonly home: string;
  readonly plugin: string;
  readonly version: string;
}

/** Modes of `--unhandled-rejections` in which a rejection that nobody handles does not end the process. */
const GOES_ON = /--unhandled-rejections=(?:none|warn)/;

/**
 * Catches the rejections that nobody handles, so that they do not end the process: a plugin's promise that nobody waits for is
 * the usual cause, and its stack need not lead there (a file that is not there, a call of the host's services). Before there
 * is code of plugins, they do what they do without this.
 */
export class StrayFailures {
  #isListening = false;

  constructor(
    private readonly homes: () => Iterable<CodeHome>,
    /** @param home undefined when the stack does not say whose it is. */
    private readonly onStray: (home: CodeHome | undefined, error: unknown) => void,
    private readonly onFatal: (home: CodeHome, error: unknown) => void,
  ) {}

  start(): void {
    if (this.#isListening) return;
    this.#isListening = true;
    process.on('unhandledRejection', this.#rejected);
    process.on('uncaughtExceptionMonitor', this.#uncaught);
  }

  stop(): void {
    this.#isListening = false;
    process.off('unhandledRejection', this.#rejected);
    process.off('uncaughtExceptionMonitor', this.#uncaught);
  }

  readonly #rejected = (error: unknown): void => {
    const homes = [...this.homes()];
    const home = homeOf(error, homes);
    if (home !== undefined) return this.onStray(home, error);
    // Somebody else listens, and says what is done about it.
    if (process.listenerCount('unhandledRejection') > 1) return;
    if (homes.length > 0) return this.onStray(undefined, error);
    if (GOES_ON.test([...process.execArgv, process.env['NODE_OPTIONS'] ?? ''].join(' '))) return;
    // As Node does when nobody listens: it becomes an uncaught exception.
    throw error instanceof Error ? error : new Error(`A promise was rejected with ${String(error)}.`, { cause: error });
  };

  /** The process ends; its log should say because of whom. */
  readonly #uncaught = (error: unknown): void => {
    const home = homeOf(error, this.homes());
    if (home !== undefined) this.onFatal(home, error);
  };
}

/** Whose code is the first that the stack names. */
export function homeOf(error: unknown, homes: Iterable<CodeHome>): CodeHome | undefined {
  const stack = error instanceof Error ? error.stack : undefined;
  if (stack === undefined) return undefined;
  let first: { readonly at: number; readonly home: CodeHome } | undefined;
  for (const home of homes) {
    for (const prefix of [`${pathToFileURL(home.home).href}/`, home.home + sep]) {
      const at = stack.indexOf(prefix);
      if (at >= 0 && at < (first?.at ?? Infinity)) first = { at, home };
    }
  }
  return first?.home;
}
