import { formatReport } from '../conformance/report.js';
import { conformPlugin, LoadError, type PluginConformance } from './conform-plugin.js';
import { readSettings } from './settings.js';
import { readCommand, USAGE, UsageError, type Command } from './usage.js';

/** Where the command writes. */
export interface Output {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

/** Runs the command. @returns its exit code. */
export async function runConformance(args: readonly string[], { out, err }: Output): Promise<0 | 1 | 2> {
  try {
    const command = readCommand(args);
    if (command === undefined) {
      out(USAGE);
      return 0;
    }
    const settings = await readSettings(command.directory, command.settings);
    const result = await conformPlugin(command.directory, command.pluginOptions, settings);
    out(formatResult(result, command));
    return result.reports.every(({ passed }) => passed) ? 0 : 1;
  } catch (error) {
    if (error instanceof UsageError) err(`baton-conformance: ${error.message} See baton-conformance --help.\n`);
    else if (error instanceof LoadError) err(`${error.message}\n`);
    else err(`baton-conformance: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    return 2;
  }
}

function formatResult({ plugin, version, reports, unchecked }: PluginConformance, { isJson }: Command): string {
  if (isJson) return `${JSON.stringify({ plugin, version, reports, unchecked }, null, 2)}\n`;
  const more = unchecked.map((provision) => `${provision}: there are no checks for its kind.`);
  const none = reports.length === 0 ? ['It provides nothing that is checked.'] : [];
  return `${[`${plugin} ${version}`, ...reports.map((report) => formatReport(report)), ...more, ...none].join('\n\n')}\n`;
}
