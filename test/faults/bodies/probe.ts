import type { InstanceProcess } from '../../support/instance-process.js';

/** To be preloaded by an instance that is asked. */
export const PROBE = new URL('./probe.mjs', import.meta.url);

/** What an instance tells of itself. */
export interface Probed {
  /** Longest time that its event loop computed without a pause, since it was asked last. */
  readonly blockedMs: number;
  /** Whether something has been put into `Object.prototype`. */
  readonly isPolluted: boolean;
  readonly rssBytes: number;
}

/** Asks `instance`, which was started with {@link PROBE}. */
export function probe({ child }: InstanceProcess): Promise<Probed> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error('The instance does not answer its probe.')), 60_000);
    const listen = (message: unknown): void => {
      if (!isProbed(message)) return;
      clearTimeout(late);
      child.off('message', listen);
      resolve(message);
    };
    child.on('message', listen);
    child.send('probe');
  });
}

function isProbed(message: unknown): message is Probed {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === 'probe';
}
