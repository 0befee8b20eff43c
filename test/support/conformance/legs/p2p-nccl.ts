import { decodeBody, pathOf, prefillBody } from './edits.js';
import type { Exchange, Wire } from './wire.js';

/** `engine-protocols.md` 3.4. All is in the id, which is the same on both legs. */
export const p2pNccl: Wire = {
  answersByPrefill: () => false,
  settles: () => 'taken',
  decodes: () => 1,
  prefill: ({ request }) => ({ path: pathOf(request), body: prefillBody(request) }),
  decode: ({ request }) => ({ path: pathOf(request), body: decodeBody(request) }),
  ids({ prefill, decode, sides }: Exchange) {
    const [p, d] = [prefill.headers['x-request-id'] ?? '', decode?.headers['x-request-id'] ?? ''];
    const port = (side: keyof typeof sides): number => sides[side].port('zmqPort');
    const expected = `___prefill_addr_127.0.0.1:${port('prefill')}___decode_addr_127.0.0.1:${port('decode')}_`;
    const key = p.startsWith(expected) ? p.slice(expected.length) : '';
    const isFresh = /^[0-9a-f]{32}$/.test(key) && !used.has(key);
    used.add(key);
    return [
      ...(isFresh ? [] : [`x-request-id ${p} is not ${expected} and 32 fresh hexadecimal digits`]),
      ...(p === d ? [] : [`x-request-id: P got ${p}, D got ${d}`]),
    ];
  },
};

const used = new Set<string>();
