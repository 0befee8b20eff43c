import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { StopStrings } from './stop-strings.js';

/** Feeds `pieces` and returns what came through. */
function filtered(stops: string[], pieces: string[]): { text: string; isStopped: boolean } {
  const filter = new StopStrings(stops);
  let text = '';
  for (const piece of pieces) {
    const checked = filter.push(piece);
    text += checked.text;
    if (checked.isStopped) return { text, isStopped: true };
  }
  return { text: text + filter.flush(), isStopped: false };
}

describe('StopStrings', () => {
  it('lets text through at once when no stop string can begin in it', () => {
    expect(new StopStrings(['END']).push('once upon')).toEqual({ text: 'once upon', isStopped: false });
  });

  it('holds back what may be the beginning of a stop string, and no more', () => {
    const filter = new StopStrings(['END']);
    expect(filter.push('the EN')).toEqual({ text: 'the ', isStopped: false });
    expect(filter.push('GLISH')).toEqual({ text: 'ENGLISH', isStopped: false });
  });

  it('finds a stop string that is spread over pieces', () => {
    expect(filtered(['END'], ['a E', 'N', 'D b'])).toEqual({ text: 'a ', isStopped: true });
  });

  it('stops before the first of several', () => {
    expect(filtered(['two', 'one'], ['zero one two'])).toEqual({ text: 'zero ', isStopped: true });
  });

  it('gives what a search in the whole text gives, however it is cut', () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(
        fc.array(word, { minLength: 1, maxLength: 3 }),
        fc.array(word, { maxLength: 12 }),
        (stops, pieces) => {
          const text = pieces.join('');
          const { text: out, isStopped } = filtered(stops, pieces);
          const found = stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
          expect(isStopped).toBe(found.length > 0);
          expect(text.startsWith(out)).toBe(true);
          expect(stops.some((stop) => out.includes(stop))).toBe(false);
          if (!isStopped) expect(out).toBe(text);
        },
      ),
    );
  });
});
