import { parseArgs } from 'node:util';

export const USAGE = `Usage: baton-conformance DIRECTORY [options]

Loads the plugin in DIRECTORY as Baton does (from a copy, in an application context of its own) into a host whose instances
are doubles, and checks every manager, KV connector and endpoint picker that it provides.

  --options JSON    The options of the plugin. Default: none.
  --settings FILE   An ES module whose default export says what the checks have to know: { managers, connectors, pickers },
                    each by name, as the options of conformManager, conformConnector and conformPicker;
                    or a function that returns that, of { inferenceRequest }, which makes requests.
                    Default: DIRECTORY/conformance.mjs, when it is there.
  --json            Prints the reports as JSON.
  --help            Prints this.

Exit code: 0 when everything conforms, 1 when something does not, 2 when the plugin cannot be loaded or the command is wrong.
`;

/** What the command was asked for. */
export interface Command {
  readonly directory: string;
  readonly pluginOptions: unknown;
  readonly settings: string | undefined;
  readonly isJson: boolean;
}

/** The command is wrong: the message says how. */
export class UsageError extends Error {}

/** Reads the arguments; undefined when only help is wanted. @throws UsageError */
export function readCommand(args: readonly string[]): Command | undefined {
  const { values, positionals } = parsed(args);
  if (values.help === true) return undefined;
  const [directory, ...others] = positionals;
  if (directory === undefined) throw new UsageError('Name the directory of a plugin.');
  if (others.length > 0) throw new UsageError(`One directory at a time: what is ${others.join(' ')}?`);
  return {
    directory,
    pluginOptions: values.options === undefined ? undefined : readJson(values.options),
    settings: values.settings,
    isJson: values.json === true,
  };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        options: { type: 'string' },
        settings: { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new UsageError('--options must be JSON.');
  }
}
