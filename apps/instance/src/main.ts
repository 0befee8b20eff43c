import { helpText, readCommandLine } from './config/command-line.js';
import { ConfigError } from './config/config.error.js';
import type { InstanceConfig } from './config/instance-config.js';
import { loadConfig } from './config/load-config.js';
import { printConfig } from './config/print-config.js';
import { exitWithParent } from './lifecycle/exit-with-parent.js';
import { runInstance } from './lifecycle/run-instance.js';

/** The configuration to serve with; undefined when there is nothing more to do. */
function readConfig(): InstanceConfig | undefined {
  const commandLine = readCommandLine(process.argv.slice(2));
  if (commandLine.help) {
    process.stdout.write(helpText());
    return undefined;
  }
  const config = loadConfig({ file: commandLine.file, env: process.env });
  if (!commandLine.printConfig) return config;
  process.stdout.write(printConfig(config));
  return undefined;
}

try {
  exitWithParent();
  const config = readConfig();
  if (config !== undefined) await runInstance(config);
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  const isConfigError = error instanceof ConfigError;
  process.stderr.write(isConfigError ? `${message}\n` : `The instance cannot start: ${message.replace(/\.$/, '')}.\n`);
  // Not `exitCode`: a part of the instance that did start would keep the process alive.
  process.exit(isConfigError ? 2 : 1);
}
