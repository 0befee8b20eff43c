import type { ReleaseMeans, ReleaseOutcome } from '@baton/coordination';
import type { InferenceRequest } from '@baton/inference';
import { defer, type Observable } from 'rxjs';
import { must, saidBy } from '../check-failure.js';
import { chatRequest } from '../manager/requests.js';
import type { Check } from '../run-checks.js';
import type { ConnectorBench, ConnectorChecking } from './connector-bench.js';

const OUTCOMES: readonly ReleaseOutcome[] = ['freed', 'held', 'unknown'];
const RELEASE_MS = 60_000;
const SILENT = { parts: [], end: 'silent' } as const;

/** What must be so of `release`. */
export const RELEASE_CHECKS: readonly Check<ConnectorChecking>[] = [
  {
    name: 'releases only when somebody subscribes',
    run: (checking) =>
      checking.once(async (bench) => {
        const release = await releaseOf(bench);
        const before = workOf(bench);
        release();
        await bench.time.advance(1_000);
        must(workOf(bench) === before, 'release did its work before anybody subscribed.');
      }),
  },
  {
    name: 'releases as often as it is asked, each time with an outcome',
    run: (checking) =>
      checking.once(async (bench) => {
        const release = await releaseOf(bench);
        for (const time of ['first', 'second']) {
          const outcomes: unknown[] = [];
          let ended: string | undefined;
          release().subscribe({
            next: (outcome) => outcomes.push(outcome),
            error: (error: unknown) => (ended = saidBy(error)),
            complete: () => (ended = ''),
          });
          await bench.time.advanceUntil(() => ended !== undefined, RELEASE_MS);
          must(ended !== undefined, `The ${time} release did not end within ${RELEASE_MS} ms.`);
          must(ended === '', `The ${time} release failed: ${ended}`);
          const isOne = outcomes.length === 1 && OUTCOMES.some((outcome) => outcome === outcomes[0]);
          must(
            isOne,
            `The ${time} release said ${outcomes.map(String).join(', ') || 'nothing'}, and not one of ${OUTCOMES.join(', ')}.`,
          );
        }
      }),
  },
  {
    name: 'lets go of a release that takes too long',
    run: (checking) =>
      checking.once(async (bench) => {
        const release = await releaseOf(bench);
        for (const client of bench.host.clients) client.answerCall = () => SILENT;
        bench.host.engines.answer = () => SILENT;
        const subscription = release().subscribe({ error: () => undefined });
        await bench.time.advance(RELEASE_MS);
        subscription.unsubscribe();
        await bench.time.settle();
        const { open } = bench.host;
        must(open.length === 0, `Left alone, it keeps open: ${open.join(', ')}.`);
      }),
  },
];

async function releaseOf(bench: ConnectorBench): Promise<() => Observable<ReleaseOutcome>> {
  const { handoff, request } = await bench.handOver(chatOf(bench));
  const { prefill, decode } = bench.sites;
  const means: ReleaseMeans = { request, prefill, decode: (leg) => defer(() => decode.run(leg)) };
  return () => bench.connector.release(handoff, means);
}

function chatOf({ options }: ConnectorBench): InferenceRequest {
  const request = chatRequest(true);
  const [api = 'chat'] = options.apis ?? [];
  return { ...request, api };
}

/** Everything that can be seen from outside. */
function workOf({ host, connector }: ConnectorBench): number {
  const calls = host.clients.reduce((sum, client) => sum + client.calls.length, 0);
  const released: unknown = Reflect.get(connector, 'released');
  return calls + host.engines.log.legs.length + (Array.isArray(released) ? released.length : 0);
}
