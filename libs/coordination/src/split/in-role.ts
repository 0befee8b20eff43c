import type { InferenceRequest, LegRole } from '@baton/inference';

/** `leg`, written down as one of that role. */
export function inRole(leg: InferenceRequest, role: LegRole): InferenceRequest {
  const trace = leg.trace?.as?.(role);
  return trace === undefined ? leg : { ...leg, trace };
}
