import type { Phase } from '@baton/coordination';
import { endlessParts, type LegAnswer } from '../../doubles/fake-engines.js';
import { must } from '../check-failure.js';
import type { Check } from '../run-checks.js';
import type { Watched } from '../watched.js';
import type { ManagerBench, ManagerChecking } from './manager-bench.js';

/** A moment in which a client leaves. */
export interface Moment {
  readonly name: string;
  readonly phase: Phase;
  /** Has the request stay in that moment. */
  prepare(bench: ManagerBench): void;
  /** Whether the request is there. */
  isThere(bench: ManagerBench, watched: Watched): boolean;
}

const THERE_MS = 10_000;
const SILENT = { parts: [], end: 'silent' } as const;

const silent =
  (kind: 'prefill' | 'decode'): LegAnswer =>
  (_leg, place) =>
    place.kind === kind ? SILENT : undefined;

const runs = ({ host }: ManagerBench, kind: 'prefill' | 'decode'): boolean =>
  host.engines.log.running.some((leg) => leg.kind === kind);

/** From the first to the last. */
export const MOMENTS: readonly Moment[] = [
  {
    name: 'before the first leg is sent',
    phase: 'before_prefill',
    prepare: ({ host }) => (host.prefill.pickAfterMs = host.decode.pickAfterMs = 'never'),
    isThere: ({ host }) => host.engines.log.legs.length === 0 && host.prefill.open + host.decode.open > 0,
  },
  {
    name: 'while the prefill leg runs',
    phase: 'prefilling',
    prepare: ({ host }) => (host.engines.answer = silent('prefill')),
    isThere: (bench) => runs(bench, 'prefill'),
  },
  {
    name: 'between the prefill leg and the decode leg',
    phase: 'gap',
    prepare: ({ host }) => (host.decode.pickAfterMs = 'never'),
    isThere: (bench) => {
      const { legs } = bench.host.engines.log;
      return legs.some(({ kind, state }) => kind === 'prefill' && state === 'complete') && !runs(bench, 'decode');
    },
  },
  {
    name: 'when the decode leg is sent',
    phase: 'decode_sent',
    prepare: ({ host }) => (host.engines.answer = silent('decode')),
    isThere: (bench) => runs(bench, 'decode') && !runs(bench, 'prefill'),
  },
  {
    name: 'while the decode leg answers',
    phase: 'decoding',
    prepare: ({ host }) =>
      (host.engines.answer = (leg, { kind }) =>
        kind === 'decode' && leg.stream ? { parts: endlessParts(leg), everyMs: 100 } : undefined),
    isThere: (bench, { parts }) => parts.length > 0 && runs(bench, 'decode'),
  },
  {
    name: 'after the answer',
    phase: 'done',
    prepare: () => undefined,
    isThere: (_bench, { state }) => state === 'complete',
  },
];

/** Whatever a client leaves, and whenever, is given back: legs, endpoints, KV. */
export const LEAVING_CHECKS: readonly Check<ManagerChecking>[] = MOMENTS.map((moment) => ({
  name: `gives everything back when the client leaves ${moment.name}`,
  run: async (checking) => {
    let count = 0;
    await checking.eachForm(async (bench, stream) => {
      moment.prepare(bench);
      const watched = bench.subscribe(bench.request(stream));
      await bench.time.advanceUntil(() => moment.isThere(bench, watched) || watched.isOver, THERE_MS);
      if (moment.isThere(bench, watched)) count += 1;
      watched.leave();
      await bench.time.settle();
      must(watched.state !== 'failed' || moment.phase !== 'done', `The answer failed (${bench.under}).`);
      await bench.mustBeGivenBack(moment.phase);
    });
    return count === 0 ? 'Its requests are never there.' : undefined;
  },
}));
