import type { InferenceRequest } from '@baton/inference';
import { StaticEndpointPicker, type Endpoint, type EndpointPicker } from '@baton/remotes';
import { describe, expect, it } from '@jest/globals';
import { EMPTY, NEVER, of, shareReplay, startWith, throwError, type Observable } from 'rxjs';
import { assertConforms } from '../report.js';
import { conformPicker } from './conform-picker.js';

const TIMEOUT_MS = 60_000;

const wrong = (name: string, change: (right: StaticEndpointPicker) => EndpointPicker['pick']) => ({
  name,
  create: (): EndpointPicker => ({ pick: change(new StaticEndpointPicker()) }),
});

const ELSEWHERE: Endpoint = { origin: 'http://elsewhere.test:1', name: 'elsewhere.test:1' };

describe('a picker that is right', () => {
  it(
    'static conforms',
    async () => {
      const report = await conformPicker(StaticEndpointPicker);
      expect(() => assertConforms(report)).not.toThrow();
      expect(report).toMatchObject({ subject: 'picker static', passed: true });
      expect(report.checks).toHaveLength(7);
    },
    TIMEOUT_MS,
  );
});

describe('a picker that is wrong', () => {
  it.each([
    [
      'picks what it was not offered',
      wrong(
        'a',
        (right) => (request, endpoints) =>
          endpoints.length === 0 ? right.pick(request, endpoints) : NEVER.pipe(startWith(ELSEWHERE)),
      ),
      [
        'picks only what it is offered',
        'picks when somebody subscribes, and leaves the request untouched',
        'emits once, and holds until it is unsubscribed',
        'keeps picks apart from each other',
        'keeps nothing of picks that were given back',
      ],
    ],
    [
      'completes',
      wrong(
        'b',
        (right) => (request, endpoints) =>
          endpoints.length === 0 ? right.pick(request, endpoints) : of(...endpoints.slice(0, 1)),
      ),
      ['emits once, and holds until it is unsubscribed', 'keeps picks apart from each other'],
    ],
    [
      'emits twice',
      wrong(
        'c',
        (right) => (request, endpoints) =>
          endpoints.length < 3 ? right.pick(request, endpoints) : NEVER.pipe(startWith(...endpoints)),
      ),
      ['emits once, and holds until it is unsubscribed'],
    ],
    [
      'says nothing of none',
      wrong('d', (right) => (request, endpoints) => (endpoints.length === 0 ? EMPTY : right.pick(request, endpoints))),
      ['fails with no_endpoint when there is none'],
    ],
    [
      'fails otherwise when there is none',
      wrong(
        'e',
        (right) => (request, endpoints) =>
          endpoints.length === 0 ? throwError(() => new Error('none')) : right.pick(request, endpoints),
      ),
      ['fails with no_endpoint when there is none'],
    ],
    [
      'never picks one of one',
      wrong('f', (right) => (request, endpoints) => (endpoints.length === 1 ? NEVER : right.pick(request, endpoints))),
      ['picks only what it is offered', 'keeps picks apart from each other'],
    ],
    [
      'remembers every request',
      wrong('g', (right) => {
        const seen = new Set<InferenceRequest>();
        return (request, endpoints) => (seen.add(request), right.pick(request, endpoints));
      }),
      ['keeps nothing of picks that were given back'],
    ],
    [
      'gives everybody one pick',
      wrong('i', (right) => {
        let shared: Observable<Endpoint> | undefined;
        return (request, endpoints) => {
          if (endpoints.length === 0) return right.pick(request, endpoints);
          shared ??= right.pick(request, endpoints).pipe(shareReplay(1));
          return shared;
        };
      }),
      [
        'picks only what it is offered',
        'picks when somebody subscribes, and leaves the request untouched',
        'keeps nothing of picks that were given back',
      ],
    ],
  ])(
    'that %s is red',
    async (_what, picker, expected) => {
      const { checks } = await conformPicker(picker);
      const failed = checks.filter(({ passed }) => !passed).map(({ name }) => name);
      expect(failed).toEqual(expected);
    },
    TIMEOUT_MS,
  );
});
