import { decodeBody, distinctIds, pathOf, prefillBody, SAYS_MORE, withParams } from './edits.js';
import type { Wire } from './wire.js';

/** `engine-protocols.md` 3.2. P hands over whatever ended it, so D runs in any case. */
export const nixl: Wire = {
  faults: SAYS_MORE,
  answersByPrefill: () => false,
  settles: () => 'taken',
  decodes: () => 1,
  prefill: ({ request }) => ({
    path: pathOf(request),
    body: withParams(request, prefillBody(request), {
      do_remote_decode: true,
      do_remote_prefill: false,
      remote_engine_id: null,
      remote_block_ids: null,
      remote_host: null,
      remote_port: null,
    }),
  }),
  // Verbatim: whatever P has said, fields of tomorrow too.
  decode: ({ request, prefill }) => ({
    path: pathOf(request),
    body: withParams(request, decodeBody(request), prefill.handedOver ?? 'what P has handed over'),
  }),
  ids: distinctIds,
};
