import type { LegTrace } from '@baton/inference';
import { jsonPart, type ResponsePart } from '@baton/inference';
import { describe, expect, it, jest } from '@jest/globals';
import { of, Subject, throwError } from 'rxjs';
import { toldTo } from './traced-leg.js';

function told(): { trace: LegTrace; ends: unknown[][]; firstParts: () => number } {
  const ended = jest.fn();
  const firstPart = jest.fn();
  return { trace: { ended, firstPart }, ends: ended.mock.calls, firstParts: () => firstPart.mock.calls.length };
}

describe('toldTo', () => {
  it('ends the leg when whoever ran it leaves, and says so', () => {
    const { trace, ends, firstParts } = told();
    const parts = new Subject<ResponsePart>();
    const subscription = toldTo(trace, parts).subscribe();
    parts.next(jsonPart({}));
    parts.next(jsonPart({}));
    expect([parts.observed, firstParts(), ends]).toEqual([true, 1, []]);
    subscription.unsubscribe();
    expect([parts.observed, ends]).toEqual([false, [['left']]]);
  });

  it.each([
    ['complete', of(jsonPart({})), ['complete']],
    ['failed', throwError(() => new TypeError('no')), ['failed', expect.any(String)]],
  ])('tells first that a leg is %s by itself', (_how, parts, first) => {
    const { trace, ends } = told();
    toldTo(trace, parts).subscribe({ error: () => undefined });
    expect(ends[0]).toEqual(first);
  });
});
