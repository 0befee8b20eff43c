import { InferenceError, type InferenceRequest } from '@baton/inference';
import { isObservable } from 'rxjs';
import { must, saidBy } from '../check-failure.js';
import type { Check } from '../run-checks.js';
import { Untouched } from '../untouched.js';
import { collectGarbage } from './garbage.js';
import { endpointsOf, type PickerBench, type PickerChecking } from './picker-bench.js';

const HELD_MS = 3_600_000;
const PICKS = 10_000;
/** Lists of endpoints come and go when a pool is configured anew. */
const PICKS_PER_POOL = 100;
/** Of what was picked for: a picker may remember the last few. */
const MAY_STAY = 0.01;

/** What must be so of a picker. */
export const PICK_CHECKS: readonly Check<PickerChecking>[] = [
  {
    name: 'picks only what it is offered',
    run: (checking) =>
      checking.once(async (bench) => {
        const all = endpointsOf(5);
        for (let mask = 1; mask < 2 ** all.length; mask += 1) {
          const offered = Object.freeze(all.filter((_, index) => (mask & (1 << index)) !== 0));
          // Asked for the same session again: the one that it had may be gone.
          for (const index of [0, 1, mask]) (await bench.picked(offered, bench.request(index))).giveBack();
        }
      }),
  },
  {
    name: 'picks when somebody subscribes, and leaves the request untouched',
    run: (checking) =>
      checking.once(async (bench) => {
        const request = bench.request();
        const untouched = new Untouched(request).freeze();
        const picking: unknown = bench.picker.pick(request, endpointsOf(2));
        must(isObservable(picking), 'pick returned no Observable.');
        (await bench.picked(endpointsOf(2), request)).giveBack();
        must(untouched.edit === undefined, `The request was edited: ${untouched.edit}.`);
      }),
  },
  {
    name: 'emits once, and holds until it is unsubscribed',
    run: (checking) =>
      checking.once(async (bench) => {
        const pick = await bench.picked(endpointsOf(3));
        await bench.time.advance(HELD_MS);
        must(pick.chosen.length === 1, `It emitted ${pick.chosen.length} times.`);
        must(
          pick.end === undefined,
          pick.end?.error === undefined
            ? 'It completed while it was held.'
            : `It failed while it was held: ${saidBy(pick.end.error)}`,
        );
        pick.giveBack();
        pick.giveBack();
      }),
  },
  {
    name: 'fails with no_endpoint when there is none',
    run: (checking) =>
      checking.once(async (bench) => {
        const { end, chosen } = await bench.pick([]);
        must(chosen.length === 0, 'It picked one out of none.');
        const error = end?.error;
        const isRight = error instanceof InferenceError && error.code === 'remote_no_endpoint';
        must(
          isRight,
          `It ${error === undefined ? 'completed' : `failed with ${saidBy(error)}`}, and not with a RemoteUnavailableError of no_endpoint.`,
        );
      }),
  },
  {
    name: 'keeps picks apart from each other',
    run: (checking) =>
      checking.once(async (bench) => {
        const endpoints = endpointsOf(3);
        const [first, second] = [
          await bench.picked(endpoints, bench.request(1)),
          await bench.picked(endpoints, bench.request(2)),
        ];
        first.giveBack();
        await bench.time.advance(1_000);
        must(second.end === undefined, 'Giving one pick back ended another.');
        second.giveBack();
        await twice(bench);
      }),
  },
  {
    name: 'keeps nothing of picks that were given back',
    run: (checking) =>
      checking.once(async (bench) => {
        const count = bench.options.picks ?? PICKS;
        const kept = await pickAndForget(bench, count);
        if (!(await collectGarbage())) return;
        const alive = kept.filter((ref) => ref.deref() !== undefined).length;
        must(
          alive <= kept.length * MAY_STAY,
          `Of ${count} picks, it keeps ${alive} of ${kept.length} requests and pools.`,
        );
        must(bench.time.pending === 0, `After ${count} picks, ${bench.time.pending} timer(s) are set.`);
      }),
  },
];

/** Each subscriber of one pick has an endpoint of its own. */
async function twice(bench: PickerBench): Promise<void> {
  const picking = bench.picker.pick(bench.request(3), endpointsOf(1));
  const chosen: unknown[] = [];
  const subscriptions = [0, 1].map(() => picking.subscribe((endpoint) => chosen.push(endpoint)));
  await bench.time.advance(bench.options.pickTimeoutMs ?? 1_000);
  must(chosen.length === 2, `Of two subscribers of one pick, ${chosen.length} got an endpoint.`);
  for (const subscription of subscriptions) subscription.unsubscribe();
}

/** In a function of its own, so that nothing here keeps what was picked for. */
async function pickAndForget(bench: PickerBench, count: number): Promise<readonly WeakRef<object>[]> {
  const refs: WeakRef<object>[] = [];
  let endpoints = endpointsOf(3);
  for (let index = 0; index < count; index += 1) {
    if (index % PICKS_PER_POOL === 0) {
      endpoints = endpointsOf(3);
      refs.push(new WeakRef(endpoints));
    }
    const request: InferenceRequest = bench.request(index);
    refs.push(new WeakRef(request));
    (await bench.picked(endpoints, request)).giveBack();
  }
  return refs;
}
