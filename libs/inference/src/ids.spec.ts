import { describe, expect, it } from '@jest/globals';
import { clientRequestId, newId } from './ids.js';

describe('ids', () => {
  it('are fresh and of one length', () => {
    const ids = Array.from({ length: 100 }, newId);
    expect(new Set(ids).size).toBe(100);
    expect(new Set(ids.map(({ length }) => length)).size).toBe(1);
  });

  it.each(['a', 'req_1.2:3-4', 'x'.repeat(256)])('keep what the client sent: %s', (id) => {
    expect(clientRequestId(id)).toBe(id);
  });

  it.each([undefined, '', 'x'.repeat(257), 'a b', 'a\r\nset-cookie: x', 'ü', ['a'], 7, { toString: () => 'a' }])(
    'replace what is not safe to repeat: %j',
    (id) => {
      expect(clientRequestId(id)).toMatch(/^[0-9a-f-]{36}$/);
    },
  );
});
