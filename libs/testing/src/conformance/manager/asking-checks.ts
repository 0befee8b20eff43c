import { isDeepStrictEqual } from 'node:util';
import type { InferenceRequest } from '@baton/inference';
import { must } from '../check-failure.js';
import type { Check } from '../run-checks.js';
import { Untouched } from '../untouched.js';
import { Watched } from '../watched.js';
import type { ManagerBench, ManagerChecking } from './manager-bench.js';
import { detailed, legsOfOthers, requestsToDecline } from './requests.js';

/** Of the event loop; no manager that waits for nothing takes a hundredth of it. */
const AT_ONCE_MS = 1_000;
const LATER_MS = 1_000;

/** What must be so of `dispatch`, before anybody subscribes. */
export const ASKING_CHECKS: readonly Check<ManagerChecking>[] = [
  {
    name: 'answers at once, with an Observable or undefined',
    run: (checking) =>
      checking.eachForm(async (bench, stream) => {
        // Of the process: virtual time stands still meanwhile.
        const before = process.hrtime.bigint();
        bench.taken(bench.request(stream));
        const tookMs = Number((process.hrtime.bigint() - before) / 1_000_000n);
        must(tookMs < AT_ONCE_MS, `dispatch took ${tookMs} ms.`);
        bench.dispatch(legsOfOthers()[0] as InferenceRequest);
      }),
  },
  {
    name: 'begins no work before it is subscribed to',
    run: (checking) =>
      checking.eachForm(async (bench, stream) => {
        const timers = bench.time.pending;
        bench.taken(bench.request(stream));
        await mustHaveBegunNothing(bench, timers, 'Before anybody subscribed');
      }),
  },
  {
    name: 'declines without touching this instance or the pools',
    run: (checking) =>
      checking.once(async (bench) => {
        const timers = bench.time.pending;
        for (const request of requestsToDeclineOf(checking)) bench.dispatch(request);
        await mustHaveBegunNothing(bench, timers, 'While it declined');
      }),
  },
  {
    name: 'leaves a request untouched that it declines',
    run: (checking) =>
      checking.once(async (bench) => {
        for (const freezes of [false, true]) {
          for (const request of requestsToDeclineOf(checking)) {
            const untouched = watchEdits(request, freezes);
            if (bench.dispatch(request) === undefined) await mustBeUntouched(bench, untouched);
          }
        }
      }),
  },
  {
    name: 'leaves a request untouched that it takes',
    run: (checking) =>
      checking.eachForm(async (bench, stream) => {
        for (const freezes of [false, true]) {
          const request = detailed(bench.request(stream));
          const untouched = watchEdits(request, freezes);
          const watched = new Watched(bench.taken(request));
          await bench.time.advanceUntil(() => watched.isOver, LATER_MS);
          watched.leave();
          await mustBeUntouched(bench, untouched);
        }
      }),
  },
  {
    name: 'declines legs of others, or runs them on this instance as they are',
    run: (checking) =>
      checking.each(async (bench) => {
        for (const leg of legsOfOthers()) {
          const before = bench.host.engines.log.legs.length;
          const answer = bench.dispatch(leg);
          if (answer === undefined) continue;
          await bench.end(new Watched(answer));
          const legs = bench.host.engines.log.legs.slice(before);
          const isPassed =
            legs.length === 1 && legs[0]?.side === 'local' && isDeepStrictEqual(legs[0].leg.body, leg.body);
          must(
            isPassed,
            `It made ${legs.length} leg(s) of a leg that somebody else coordinates: ${legs.map(({ side }) => side).join(', ')}.`,
          );
        }
      }),
  },
];

function requestsToDeclineOf({ options }: ManagerChecking): readonly InferenceRequest[] {
  return [...requestsToDecline(), ...(options.declines ?? []).map((request) => request())];
}

function watchEdits(request: InferenceRequest, freezes: boolean): Untouched {
  const untouched = new Untouched(request);
  return freezes ? untouched.freeze() : untouched;
}

async function mustBeUntouched({ time }: ManagerBench, untouched: Untouched): Promise<void> {
  await time.advance(LATER_MS);
  must(untouched.edit === undefined, `The client's request was edited: ${untouched.edit}.`);
}

async function mustHaveBegunNothing({ host, time }: ManagerBench, timers: number, when: string): Promise<void> {
  const set = time.pending - timers;
  await time.advance(LATER_MS);
  const legs = host.engines.log.legs.length;
  const picks = host.prefill.picks.length + host.decode.picks.length;
  const calls = host.clients.reduce((sum, client) => sum + client.calls.length, 0);
  must(legs === 0, `${when}, ${legs} leg(s) were begun.`);
  must(picks === 0, `${when}, ${picks} endpoint(s) were picked.`);
  must(calls === 0, `${when}, ${calls} call(s) were sent.`);
  must(set <= 0, `${when}, ${set} timer(s) were set.`);
}
