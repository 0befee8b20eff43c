import { PrefillRemoteDecodeRemoteManager, type CancellationAction, type Phase } from '@baton/coordination';
import { must, saidBy } from '../check-failure.js';
import { MOMENTS, type Moment } from '../manager/leaving-checks.js';
import { ManagerBench } from '../manager/manager-bench.js';
import type { Check } from '../run-checks.js';
import type { ConnectorBench, ConnectorChecking } from './connector-bench.js';

const THERE_MS = 10_000;

/** What must be seen right after a client has left, by what the plan says of the moment. */
type Look = (bench: ManagerBench, before: Seen) => void;

interface Seen {
  readonly legs: number;
  readonly calls: number;
  readonly settled: number;
}

const running = ({ host }: ManagerBench): number => host.engines.log.running.length;

const RIGHT_AFTER: Readonly<Record<CancellationAction, Look>> = {
  nothing: (bench, before) => {
    must(running(bench) === 0, 'A leg runs, where nothing has to be done.');
    must(
      seen(bench).legs === before.legs && seen(bench).calls === before.calls,
      'It sent something, where nothing has to be done.',
    );
  },
  close: (bench) => must(running(bench) <= sentToFree(bench), 'The leg that had to be closed runs on.'),
  await_answer: (bench) => must(running(bench) > 0, 'The prefill was closed, where its answer has to be awaited.'),
  release: () => undefined,
  decode_and_cancel: (bench, before) =>
    must(
      bench.host.engines.log.legs.slice(before.legs).some(({ side }) => side === 'decode') ||
        bench.host.decode.open > 0,
      'No decode leg was sent, which alone frees the KV.',
    ),
  finish: (bench) => must(running(bench) > 0, 'The transfer was not let finish.'),
};

/** Whatever the plan says of a phase is done when a client leaves in it. */
export const PLAN_CHECKS: readonly Check<ConnectorChecking>[] = [
  {
    name: 'carries a request from its prefill to the end of its answer',
    run: (checking) =>
      checking.once(async (connectorBench) => {
        const bench = managerBench(checking, connectorBench);
        for (const stream of [true, false]) {
          const watched = bench.subscribe(bench.request(stream));
          await bench.end(watched);
          must(watched.state === 'complete', `The answer failed: ${saidBy(watched.error)}.`);
          await bench.mustBeGivenBack('done');
        }
      }),
  },
  ...MOMENTS.map(planCheck),
];

function planCheck(moment: Moment): Check<ConnectorChecking> {
  return {
    name: `carries out its plan when the client leaves ${moment.name}`,
    run: async (checking) => {
      let count = 0;
      for (const stream of [true, false]) {
        await checking.once(async (connectorBench) => {
          const bench = managerBench(checking, connectorBench);
          moment.prepare(bench);
          const watched = bench.subscribe(bench.request(stream));
          await bench.time.advanceUntil(() => moment.isThere(bench, watched) || watched.isOver, THERE_MS);
          if (!moment.isThere(bench, watched)) return;
          count += 1;
          // Where D has to be sent to free the KV, it can be picked again.
          if (moment.phase === 'gap') bench.host.decode.pickAfterMs = 0;
          const before = seen(bench);
          const isOwed = bench.host.ledger.open > 0;
          watched.leave();
          await bench.time.settle();
          RIGHT_AFTER[actionIn(bench, moment.phase)](bench, before);
          await bench.mustBeGivenBack(moment.phase);
          must(!isOwed || seen(bench).settled > before.settled, 'What became of the handoff is not known.');
        });
      }
      return count === 0 ? 'Its requests are never there.' : undefined;
    },
  };
}

function managerBench({ time }: ConnectorChecking, { host, options }: ConnectorBench): ManagerBench {
  const manager = host.get(PrefillRemoteDecodeRemoteManager);
  return new ManagerBench(time, host, manager, { host: options.host, boundMs: options.boundMs });
}

const actionIn = ({ host }: ManagerBench, phase: Phase): CancellationAction =>
  host.connector.contract.cancellation[phase].action;

/** Legs that were sent because the client has left, to free the KV. */
const sentToFree = (bench: ManagerBench): number =>
  actionIn(bench, 'gap') === 'decode_and_cancel'
    ? bench.host.engines.log.running.filter(({ leg }) => !leg.stream).length
    : 0;

function seen({ host }: ManagerBench): Seen {
  const calls = host.clients.reduce((sum, client) => sum + client.calls.length, 0);
  return { legs: host.engines.log.legs.length, calls, settled: host.handoffs.state.settled.length };
}
