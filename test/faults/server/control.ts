import { once } from 'node:events';
import type { InstanceProcess } from '../../support/instance-process.js';

/** Tells a module that an instance was started with what to do; resolves with what it says when it has done so. */
export async function tell(instance: InstanceProcess, message: object): Promise<Record<string, unknown>> {
  const answered = once(instance.child, 'message');
  instance.child.send(message);
  const [answer] = (await answered) as [Record<string, unknown>];
  return answer;
}

/** As {@link tell}, for what is not answered. */
export function order(instance: InstanceProcess, message: object): void {
  instance.child.send(message);
}
