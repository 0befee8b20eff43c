import {
  EmbeddedKvConnector,
  MooncakeKvConnector,
  NixlKvConnector,
  SglangKvConnector,
  TrtllmKvConnector,
  type CancellationAction,
  type KvConnector,
  type KvContract,
  type Phase,
} from '@baton/coordination';

export type LeavingConnector = 'nixl' | 'sglang' | 'mooncake' | 'trtllm' | 'embedded';

/** The contract is a field; the client and the options that a connector is given have no part in it. */
const contractOf = (connector: abstract new (...args: never[]) => KvConnector): KvContract =>
  (Reflect.construct(connector, [{}, {}]) as KvConnector).contract;

/** What the connectors promise. */
export const CONTRACTS: Readonly<Record<LeavingConnector, KvContract>> = {
  nixl: contractOf(NixlKvConnector),
  sglang: contractOf(SglangKvConnector),
  mooncake: contractOf(MooncakeKvConnector),
  trtllm: contractOf(TrtllmKvConnector),
  embedded: contractOf(EmbeddedKvConnector),
};

/** The coordinator's own bounds, as these tests set them: far below every lease. */
export const RELEASE_TIMEOUT_MS = 2_000;
export const TRANSFER_TIMEOUT_MS = 3_000;
export const ABANDONED_PREFILL_MS = 1_500;
/** What a whole answer has left of its life on D. */
const SLACK_MS = 500;
/** A busy machine: in lives of a request. */
const SLACK_LIVES = 4;

const BOUNDS: Readonly<Record<CancellationAction, number>> = {
  nothing: SLACK_MS,
  close: SLACK_MS,
  release: RELEASE_TIMEOUT_MS,
  decode_and_cancel: RELEASE_TIMEOUT_MS,
  await_answer: ABANDONED_PREFILL_MS + RELEASE_TIMEOUT_MS,
  finish: TRANSFER_TIMEOUT_MS,
};

/**
 * How long KV may be held for a client that left in `phase`, in ms, where requests live for `lifeMs`. What the coordinator knows and
 * where the engines are differ by what is under way, so that the plan of a neighbouring phase may be carried out.
 */
export function boundMs(connector: LeavingConnector, phase: Phase, lifeMs: number): number {
  const { cancellation } = CONTRACTS[connector];
  const near: readonly Phase[] = phase === 'gap' || phase === 'before_prefill' ? ['prefilling', phase] : [phase];
  return SLACK_MS + SLACK_LIVES * lifeMs + Math.max(...near.map((each) => BOUNDS[cancellation[each].action]));
}
