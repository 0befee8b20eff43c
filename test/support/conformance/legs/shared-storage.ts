import { decodeBody, distinctIds, pathOf, prefillBody } from './edits.js';
import type { Wire } from './wire.js';

/** `engine-protocols.md` 3.8. Nothing on the wire says that it is a leg, and nobody waits for a D. */
export const sharedStorage: Wire = {
  answersByPrefill: ({ endsAtFirst }) => endsAtFirst !== undefined,
  settles: () => undefined,
  decodes: ({ endsAtFirst }) => (endsAtFirst === undefined ? 1 : 0),
  prefill: ({ request }) => ({ path: pathOf(request), body: prefillBody(request, { tokenCounts: true }) }),
  decode: ({ request }) => ({ path: pathOf(request), body: decodeBody(request) }),
  ids: distinctIds,
};
