import {
  jsonPart,
  KV_TRANSFER_PARAMS,
  whileHeld,
  type InferenceRequest,
  type JsonObject,
  type ResponsePart,
} from '@baton/inference';
import { defer, map, of, switchMap, type Observable } from 'rxjs';
import { abortable } from '../support/abortable.js';
import { usageObject } from '../answer/answer-encoder.js';
import { answerEncoder } from '../answer/encoders.js';
import type { EngineParts } from '../engine-parts.js';
import { fileDigest } from '../support/file-digest.js';
import { toTransferParams } from '../handoff/handoff-ticket.js';
import { prefill } from './prefill.js';
import type { RequestPlan } from '../request/request-plan.js';
import type { SequenceSlot } from '../llama/sequence-slot.js';
import type { TempFile } from '../handoff/temp-file.js';

/**
 * Evaluates a prompt for somebody else: its KV state becomes a handoff, which the answer names. No token is sampled.
 *
 * The file is this request's until the very step that answers. So whoever unsubscribes before has no answer, and
 * nothing is left; whoever has the answer owns the handoff.
 */
export function prefillLeg(request: InferenceRequest, plan: RequestPlan, parts: EngineParts): Observable<ResponsePart> {
  const tokens = plan.prompt.length - 1;
  if (tokens === 0) return of(prefillAnswer(request, plan, parts, 0, null));
  const { directory, handoffs, counters, pool, engineId, advertised, runtime } = parts;

  return defer(() => {
    handoffs.assertRoom(1);
    return directory.file().pipe(
      whileHeld((file) =>
        pool.acquire(plan.prompt, request.caller.label).pipe(
          whileHeld((slot) =>
            prefill(slot, plan.prompt, counters).pipe(
              switchMap(({ reusedTokens }) =>
                save(slot, file).pipe(
                  map((bytes) => {
                    counters.promptTokens.prefix_cache += reusedTokens;
                    return { bytes, reusedTokens };
                  }),
                ),
              ),
            ),
          ),
          switchMap(({ bytes, reusedTokens }) =>
            abortable((signal) => file.use(() => fileDigest(file.path, signal))).pipe(
              map((sha256) => {
                const handoff = handoffs.keep(file, { bytes, tokens, sha256 });
                const { id: handoffId, expiresAtMs } = handoff;
                const { fingerprint } = runtime;
                const ticket = { engineId, handoffId, ...advertised, tokens, expiresAtMs, bytes, sha256, fingerprint };
                const params = toTransferParams(ticket, handoffs.leaseMs);
                return prefillAnswer(request, plan, parts, reusedTokens, params);
              }),
            ),
          ),
        ),
      ),
    );
  });
}

function save(slot: SequenceSlot, file: TempFile): Observable<number> {
  return abortable(() => file.use(() => slot.use(() => slot.save(file.path))));
}

function prefillAnswer(
  request: InferenceRequest,
  plan: RequestPlan,
  { runtime }: EngineParts,
  cachedTokens: number,
  params: JsonObject | null,
): ResponsePart {
  const { modelName: model, vocabulary } = runtime;
  const created = Math.floor(Date.now() / 1000);
  const encoder = answerEncoder({ request, model, created, hasLogprobs: false, vocabulary });
  const usage = usageObject({ promptTokens: plan.prompt.length, completionTokens: 0, cachedTokens });
  const nothing = { text: '', tokenIds: [], logprobs: [], finishReason: 'length' } as const;
  return jsonPart({ ...encoder.whole([nothing], usage), [KV_TRANSFER_PARAMS]: params });
}
