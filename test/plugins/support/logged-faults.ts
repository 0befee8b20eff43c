import type { InstanceProcess } from '../../support/instance-process.js';

/** A fault of a plugin, as the log of an instance has it. */
export interface LoggedFault {
  readonly plugin: string;
  readonly reason: string;
  readonly fix: string;
}

/** The lines of the log that are of plugins and say how to mend them. */
export function loggedFaults(instance: InstanceProcess): readonly LoggedFault[] {
  return faultsIn(instance.output.join(''));
}

export function faultsIn(output: string): readonly LoggedFault[] {
  return output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Partial<LoggedFault>)
    .filter((line): line is LoggedFault => line.plugin !== undefined && line.fix !== undefined);
}
