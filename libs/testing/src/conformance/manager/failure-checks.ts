import type { Phase } from '@baton/coordination';
import { InferenceError } from '@baton/inference';
import { RemoteUnavailableError } from '@baton/remotes';
import { ANSWER_TOKENS, answerParts, type LegAnswer } from '../../doubles/fake-engines.js';
import type { LegKind, LegPlace, LegSide } from '../../doubles/leg-log.js';
import { must, saidBy } from '../check-failure.js';
import type { Check } from '../run-checks.js';
import type { Watched } from '../watched.js';
import { mustBeWhole } from './answer-checks.js';
import type { ManagerBench, ManagerChecking } from './manager-bench.js';

type Failure = (place: LegPlace) => Error;

/** Ways in which an engine does not do a leg. */
const FAILURES: readonly Failure[] = [
  ({ at }) => new RemoteUnavailableError(at, 'failed', undefined, 500),
  ({ at }) => new RemoteUnavailableError(at, 'connect'),
  () => new InferenceError('This is not what the engine takes.', { status: 400, code: 'refused_by_engine' }),
];

/** Longer than anything may stay open, and short enough that an answer comes where there is no other leg. */
const SLOW_MS = 100_000;

/** What must be so when a leg fails. */
export const FAILURE_CHECKS: readonly Check<ManagerChecking>[] = [
  {
    name: 'ends with one error, or with another answer, when the prefill leg fails',
    run: (checking) =>
      eachFailure(checking, (bench, failure, stream) => failed(bench, stream, failsAs('prefill', failure))),
  },
  {
    name: 'ends with one error, or with another answer, when the decode leg fails',
    run: (checking) =>
      eachFailure(checking, (bench, failure, stream) => failed(bench, stream, failsAs('decode', failure))),
  },
  {
    name: 'ends with an error when the decode leg fails in the middle of its answer',
    run: (checking) =>
      checking.each((bench) =>
        failed(bench, true, (leg, place) =>
          place.kind === 'decode' && leg.stream
            ? {
                parts: [...answerParts(leg, ANSWER_TOKENS)].slice(0, 2),
                end: { error: new RemoteUnavailableError(place.at, 'reset') },
              }
            : undefined,
        ),
      ),
  },
  {
    name: 'ends the other leg when one has failed, and gives everything back',
    run: (checking) =>
      eachFailure(checking, async (bench, failure, stream) => {
        for (const kind of ['prefill', 'decode'] as const) {
          const fails = failsAs(kind, failure);
          const slow = firstIsSlow(kind === 'prefill' ? 'decode' : 'prefill');
          bench.host.engines.answer = (leg, place) =>
            fails(leg, place) ?? (isConcurrent(bench) ? slow(leg, place) : undefined);
          await bench.end(bench.subscribe(bench.request(stream)));
          await bench.mustBeGivenBack(isConcurrent(bench) ? 'transferring' : PHASE[kind]);
        }
      }),
  },
];

const PHASE: Readonly<Record<LegKind, Phase>> = { prefill: 'prefilling', decode: 'decode_sent' };

const isConcurrent = ({ host }: ManagerBench): boolean => host.connector.contract.order === 'concurrent';

async function eachFailure(
  checking: ManagerChecking,
  look: (bench: ManagerBench, failure: Failure, stream: boolean) => Promise<void>,
): Promise<void> {
  for (const failure of FAILURES) await checking.eachForm((bench, stream) => look(bench, failure, stream));
}

/** Legs of a kind fail where the first of them was sent; elsewhere, another answer can be had. */
function failsAs(kind: LegKind, failure: Failure): LegAnswer {
  let side: LegSide | undefined;
  return (_leg, place) => {
    if (place.kind !== kind) return undefined;
    side ??= place.side;
    return place.side === side ? { parts: [], end: { error: failure(place) } } : undefined;
  };
}

/** The first leg of a kind runs on while the other one fails; those in its place do not. */
function firstIsSlow(kind: LegKind): LegAnswer {
  let isFirst = true;
  return (_leg, place) => {
    if (place.kind !== kind || !isFirst) return undefined;
    isFirst = false;
    return { firstAfterMs: SLOW_MS };
  };
}

async function failed(bench: ManagerBench, stream: boolean, answer: LegAnswer): Promise<void> {
  bench.host.engines.answer = answer;
  const watched = bench.subscribe(bench.request(stream));
  await bench.end(watched);
  if (watched.state === 'failed') mustBeAnError(bench, watched);
  else mustBeWhole(bench, watched);
}

function mustBeAnError({ under }: ManagerBench, { error, answer }: Watched): void {
  must(error instanceof InferenceError, `The client was shown what is no InferenceError (${under}): ${saidBy(error)}`);
  const expected = ANSWER_TOKENS.join('');
  must(expected.startsWith(answer.text), `Before the error the client got "${answer.text}" (${under}).`);
}
