import type { InferenceRequest, LegRole } from '@baton/inference';

/** `leg` with `changes`, written down as one of that role. */
export function inRole(
  leg: InferenceRequest,
  role: LegRole,
  changes?: Partial<Pick<InferenceRequest, 'id' | 'deadlineMs'>>,
): InferenceRequest {
  const trace = leg.trace?.as?.(role);
  if (trace === undefined) return changes === undefined ? leg : { ...leg, ...changes };
  return { ...leg, ...changes, trace };
}
