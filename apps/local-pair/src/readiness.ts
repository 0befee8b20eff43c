import { isJsonObject } from '@baton/inference';
import { setTimeout as delay } from 'node:timers/promises';

const POLL_INTERVAL_MS = 100;

/**
 * Waits until the instance at `url` says that it can serve.
 *
 * @param signal gives up waiting.
 * @throws Error that names the instance and repeats why it is not ready.
 */
export async function waitUntilReady(name: string, url: string, signal: AbortSignal): Promise<void> {
  let reason = 'it does not answer';
  try {
    for (;;) {
      const answer = await fetch(`${url}/health/ready`, { signal }).catch(() => undefined);
      const body = await answer?.json().catch(() => undefined);
      if (answer?.ok === true) return;
      if (answer !== undefined) reason = reasonOf(body) ?? `it answers with status ${answer.status}`;
      await delay(POLL_INTERVAL_MS, undefined, { signal });
    }
  } catch (error) {
    throw new Error(`The ${name} instance did not get ready in time: ${reason}.`, { cause: error });
  }
}

function reasonOf(body: unknown): string | undefined {
  const reason = isJsonObject(body) ? body['reason'] : undefined;
  return typeof reason === 'string' ? reason.replace(/\.$/, '') : undefined;
}
