/**
 * Where a split request is, as to its KV. `decode_sent` and `transferring` look the same from here: D has its leg and has
 * not answered.
 */
export type Phase = 'before_prefill' | 'prefilling' | 'gap' | 'decode_sent' | 'transferring' | 'decoding' | 'done';

/** Who holds blocks for the request. */
export type KvOwner = 'nobody' | 'prefill' | 'decode' | 'both';

/**
 * The one thing that frees the KV of a request whose client leaves.
 *
 * - `nothing`: none is held, or it ends by itself.
 * - `close`: closing the leg under way frees it; from P's answer on, what the gap says.
 * - `await_answer`: P gets a short while to answer (`abandonedPrefillMs`), since an answer that is under way when its leg
 *   is closed is lost, and the KV with it. If it answers: as in the gap. Else its leg is closed, which frees the KV.
 * - `release`: an explicit call to P.
 * - `decode_and_cancel`: only a D that takes it frees it, so one is sent for a token and left.
 * - `finish`: both legs go on until D's first part proves that the KV was taken (`transferTimeoutMs`), then D is closed.
 */
export type CancellationAction = 'nothing' | 'close' | 'await_answer' | 'release' | 'decode_and_cancel' | 'finish';

/** What is done when the client leaves in one phase. */
export interface PhasePlan {
  readonly owner: KvOwner;
  readonly action: CancellationAction;
}

/** The cancellation contract of a protocol. */
export type CancellationPlan = Readonly<Record<Phase, PhasePlan>>;

/** What differs between protocols of one order. */
export interface SerialPlanOptions {
  readonly prefilling: 'close' | 'await_answer';
  readonly gap: 'nothing' | 'release' | 'decode_and_cancel';
  /** From D's leg sent to its first part. */
  readonly transferring: 'close' | 'finish';
}

const AFTER_TRANSFER = {
  decoding: { owner: 'decode', action: 'close' },
  done: { owner: 'nobody', action: 'nothing' },
} as const;

/** The plan of a protocol in which D is sent when P has answered. */
export function serialPlan({ prefilling, gap, transferring }: SerialPlanOptions): CancellationPlan {
  const owner = gap === 'nothing' ? 'nobody' : 'prefill';
  return {
    before_prefill: { owner: 'nobody', action: 'nothing' },
    prefilling: { owner: 'prefill', action: prefilling },
    gap: { owner, action: gap },
    decode_sent: { owner, action: transferring },
    transferring: { owner: gap === 'nothing' ? 'decode' : 'both', action: transferring },
    ...AFTER_TRANSFER,
  };
}

/**
 * The plan of a protocol in which P and D are sent at once and wait for each other: there is no gap of time, only a
 * transfer that D did not take (`gap`), and both legs are left together.
 */
export function concurrentPlan({ gap }: Pick<SerialPlanOptions, 'gap'>): CancellationPlan {
  return {
    before_prefill: { owner: 'nobody', action: 'nothing' },
    prefilling: { owner: 'both', action: 'finish' },
    gap: { owner: gap === 'nothing' ? 'nobody' : 'prefill', action: gap },
    decode_sent: { owner: 'both', action: 'finish' },
    transferring: { owner: 'both', action: 'finish' },
    ...AFTER_TRANSFER,
  };
}
