import { parseArgs } from 'node:util';
import { UsageError } from './usage.error.js';

/** Environment variables of the pair itself; the instances do not get to see them. */
export const PREFILL_PORT = 'BATON_PREFILL_PORT';
export const DECODE_PORT = 'BATON_DECODE_PORT';

const DEFAULT_PREFILL_PORT = 8100;
const DEFAULT_DECODE_PORT = 8200;

export const HELP = `Starts a prefill and a decode instance on this machine.

  --verbose      show everything that the instances log, not only warnings and errors
  --no-example   do not ask for an example answer
  --help         show this text

  ${PREFILL_PORT}   port of the prefill instance (default ${DEFAULT_PREFILL_PORT}; 0 takes any free port)
  ${DECODE_PORT}    port of the decode instance (default ${DEFAULT_DECODE_PORT}; 0 takes any free port)
  BATON_MODEL          path of a GGUF file (default: the demo model)

Every other BATON_* variable is an option of both instances.
`;

/** What the person at the terminal chose. */
export interface PairSettings {
  /** HTTP port of the prefill instance, 0 for any free one. */
  readonly prefillPort: number;
  /** HTTP port of the decode instance, 0 for any free one. */
  readonly decodePort: number;
  /** Whether all log lines of the instances are shown. */
  readonly verbose: boolean;
  /** Whether one example answer is streamed to the terminal. */
  readonly example: boolean;
  readonly help: boolean;
}

/**
 * Reads the settings.
 *
 * @param args the command line after the script's name.
 * @throws UsageError that names the option or the variable, its value and what is allowed.
 */
export function readSettings(env: NodeJS.ProcessEnv, args: readonly string[]): PairSettings {
  const flags = readFlags(args);
  const prefillPort = readPort(env, PREFILL_PORT, DEFAULT_PREFILL_PORT);
  const decodePort = readPort(env, DECODE_PORT, DEFAULT_DECODE_PORT);
  if (prefillPort !== 0 && prefillPort === decodePort) {
    throw new UsageError(
      `${PREFILL_PORT} and ${DECODE_PORT} are both ${prefillPort}: each instance needs its own port.`,
    );
  }
  return { prefillPort, decodePort, ...flags };
}

function readFlags(args: readonly string[]): Pick<PairSettings, 'verbose' | 'example' | 'help'> {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        verbose: { type: 'boolean', default: false },
        'no-example': { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    return { verbose: values.verbose, example: !values['no-example'], help: values.help };
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function readPort(env: NodeJS.ProcessEnv, name: string, fallback: number): number {
  const text = env[name]?.trim();
  if (text === undefined || text === '') return fallback;
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new UsageError(`${name} is "${text}": it must be a whole number from 0 to 65535.`);
}
