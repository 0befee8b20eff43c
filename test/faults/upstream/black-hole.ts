import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stateOf } from './rig.js';

const LISTENER = fileURLToPath(new URL('listener.mjs', import.meta.url));
const MOST_FILLERS = 16;
const DROPPED_AFTER_MS = 150;

/**
 * An address that answers no SYN: a listener of a stopped process whose queue of connections is full. Needs no right to
 * change the machine's routes.
 */
export class BlackHole {
  private constructor(
    readonly url: string,
    readonly stop: () => void,
  ) {}

  /** @throws Error when the machine still answers. */
  static async open(): Promise<BlackHole> {
    const child = fork(LISTENER, { execArgv: [], silent: true });
    const [port] = (await once(child, 'message')) as [number];
    child.kill('SIGSTOP');
    const fillers: Socket[] = [];
    const stop = (): void => {
      for (const filler of fillers) filler.destroy();
      child.kill('SIGKILL');
    };
    while (fillers.length < MOST_FILLERS) {
      const filler = connect(port, '127.0.0.1').on('error', () => undefined);
      fillers.push(filler);
      const isConnected = await Promise.race([
        once(filler, 'connect').then(() => true),
        sleep(DROPPED_AFTER_MS, false),
      ]);
      if (!isConnected && (await stateOf(child.pid ?? 0)) === 'T')
        return new BlackHole(`http://127.0.0.1:${port}`, stop);
    }
    stop();
    throw new Error('The listener took every connection.');
  }
}
