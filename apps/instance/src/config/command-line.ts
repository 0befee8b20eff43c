import { parseArgs } from 'node:util';
import { ConfigError } from './config.error.js';
import { LEAVES } from './leaves.js';

/** What the command line asks for. */
export interface CommandLine {
  /** Path of the configuration file. */
  readonly file?: string;
  readonly printConfig: boolean;
  readonly help: boolean;
}

/**
 * Reads the arguments after the script's name.
 *
 * @throws ConfigError for arguments that do not exist.
 */
export function readCommandLine(args: readonly string[]): CommandLine {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        config: { type: 'string' },
        'print-config': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    return { file: values.config, printConfig: values['print-config'], help: values.help };
  } catch (error) {
    throw new ConfigError([error instanceof Error ? error.message : String(error)]);
  }
}

/** The text of `--help`: every setting with its variable and default. */
export function helpText(): string {
  const settings = LEAVES.map(
    ({ key, variable, defaultValue, info }) =>
      `  ${key} (${variable})\n      ${info.description}. Default: ${info.defaultText ?? shownDefault(defaultValue)}.`,
  );
  return `Usage: baton-instance [--config FILE] [--print-config] [--help]

  --config FILE    YAML file with settings
  --print-config   print the resulting settings as YAML and exit
  --help, -h       print this and exit

Settings, from strongest to weakest: environment, file, default. Lists in the environment are separated by commas.
BATON_MODEL is short for BATON_ENGINE_MODEL.

${settings.join('\n')}
`;
}

function shownDefault(value: unknown): string {
  const isEmpty = typeof value === 'object' && value !== null && Object.keys(value).length === 0;
  return value === '' || isEmpty ? 'empty' : String(value);
}
