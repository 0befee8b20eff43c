import type { InferenceRequest } from '@baton/inference';
import type { CancellationAction, Phase } from '../connectors/cancellation.js';
import type { KvContract } from '../connectors/kv-connector.js';
import {
  DEFAULT_ABANDONED_PREFILL_MS,
  DEFAULT_RELEASE_TIMEOUT_MS,
  DEFAULT_TRANSFER_TIMEOUT_MS,
  type CoordinationOptions,
} from '../coordination.options.js';
import { UNSEEN_TRANSFER_MS } from '../ledger/handoff-ledger.js';
import type { CancellationStep } from './request-record.js';

/** What is done in each phase for the KV of a request whose client leaves, and how long that may take. */
export function cancellationSteps(
  { cancellation }: KvContract,
  { stream }: Pick<InferenceRequest, 'stream'>,
  options: CoordinationOptions,
): readonly CancellationStep[] {
  const releaseMs = options.releaseTimeoutMs ?? DEFAULT_RELEASE_TIMEOUT_MS;
  const transferMs = options.transferTimeoutMs ?? DEFAULT_TRANSFER_TIMEOUT_MS;
  const bounds: Readonly<Record<CancellationAction, number | null>> = {
    nothing: null,
    close: null,
    await_answer: options.abandonedPrefillMs ?? DEFAULT_ABANDONED_PREFILL_MS,
    release: releaseMs,
    decode_and_cancel: releaseMs,
    finish: stream ? transferMs : Math.min(transferMs, UNSEEN_TRANSFER_MS),
  };
  return PHASES.map((phase) => {
    const { owner, action } = cancellation[phase];
    return { phase, owner, action, boundMs: bounds[action] };
  });
}

/** In the order in which a request goes through them. */
const PHASES: readonly Phase[] = [
  ...(['before_prefill', 'prefilling', 'gap', 'decode_sent', 'transferring', 'decoding', 'done'] as const),
];
