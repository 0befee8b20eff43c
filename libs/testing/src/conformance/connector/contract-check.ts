import type { CancellationAction, KvContract, KvOwner, Phase } from '@baton/coordination';
import { must } from '../check-failure.js';

const OWNERS: readonly KvOwner[] = ['nobody', 'prefill', 'decode', 'both'];
const CLOSES: readonly CancellationAction[] = ['close', 'finish'];
const IN_GAP: readonly CancellationAction[] = ['nothing', 'release', 'decode_and_cancel'];

/** What can be done in each phase. */
const ACTIONS: Readonly<Record<Phase, readonly CancellationAction[]>> = {
  before_prefill: ['nothing'],
  prefilling: ['close', 'await_answer', 'finish'],
  gap: IN_GAP,
  decode_sent: CLOSES,
  transferring: CLOSES,
  decoding: ['close'],
  done: ['nothing'],
};

/** @throws CheckFailure that names what a contract says that nobody could carry out. */
export function mustBeWellFormed(contract: KvContract): void {
  const { order, decoder, prefillMayAnswer, leaseMs, cancellation } = contract;
  mustBeOneOf('order', order, ['serial', 'concurrent']);
  mustBeOneOf('decoder', decoder, ['deferred', 'first']);
  must(typeof prefillMayAnswer === 'boolean', 'prefillMayAnswer is neither true nor false.');
  must(
    leaseMs === undefined || (Number.isFinite(leaseMs) && leaseMs > 0),
    `leaseMs is ${String(leaseMs)}, no time in ms.`,
  );
  must(typeof cancellation === 'object', 'There is no cancellation plan.');
  for (const [phase, actions] of Object.entries(ACTIONS)) {
    const plan = (cancellation as Partial<KvContract['cancellation']>)[phase as Phase];
    must(plan !== undefined, `The cancellation plan says nothing of ${phase}.`);
    mustBeOneOf(`The owner of ${phase}`, plan.owner, OWNERS);
    mustBeOneOf(`The action of ${phase}`, plan.action, actions);
  }
  const { prefilling, transferring, gap } = cancellation;
  must(
    order === 'concurrent' ? decoder === 'first' && prefilling.action === 'finish' : prefilling.action !== 'finish',
    `The order is ${order}, but D is chosen ${decoder} and a prefill is left by ${prefilling.action}.`,
  );
  must(
    order === 'serial' || transferring.action === 'finish',
    'P and D are sent at once, but a transfer under way is not finished.',
  );
  must(
    gap.action === 'nothing' || gap.owner !== 'nobody',
    `Nobody owns KV in the gap, but it is freed by ${gap.action}.`,
  );
}

function mustBeOneOf(what: string, found: unknown, known: readonly string[]): void {
  must(known.includes(String(found)), `${what} is ${String(found)}, and not one of ${known.join(', ')}.`);
}
