import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { GrowingBytes } from './growing-bytes.js';

describe('GrowingBytes', () => {
  it('gives what came, whatever the pieces', () => {
    const pieces = fc.array(fc.uint8Array({ maxLength: 3_000 }), { maxLength: 20 });
    fc.assert(
      fc.property(pieces, fc.nat({ max: 9_000 }), fc.nat({ max: 20 }), (parts, capacity, at) => {
        const bytes = new GrowingBytes();
        parts.forEach((part, index) => {
          if (index === at) bytes.reserve(capacity);
          bytes.append(Buffer.from(part));
        });
        const whole = Buffer.concat(parts);
        expect(bytes).toHaveLength(whole.length);
        expect(bytes.take().equals(whole)).toBe(true);
      }),
    );
  });

  it('does not copy a single piece', () => {
    const bytes = new GrowingBytes();
    const piece = Buffer.from('abc');
    bytes.append(piece);
    expect(bytes.take()).toBe(piece);
  });

  it('takes a million pieces of one byte at once', () => {
    const bytes = new GrowingBytes();
    const piece = Buffer.from('a');
    for (let count = 0; count < 1_000_000; count += 1) bytes.append(piece);
    expect(bytes.take().length).toBe(1_000_000);
    expect(bytes.take().buffer.byteLength).toBeLessThan(3_000_000);
  });
});
