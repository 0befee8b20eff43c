import { RemoteUnavailableError } from '@baton/remotes';
import { assertConforms, conformManager, type ConformanceReport } from '@baton/testing';
import { describe, expect, it } from '@jest/globals';
import { ConditionalDecodeManager } from './conditional-decode.manager.js';
import { optionsOf, refuseConditional } from './decode-instances.spec-support.js';

const TIMEOUT_MS = 120_000;
const unreached = ({ checks }: ConformanceReport): readonly string[] =>
  checks.filter(({ why }) => why === 'Its requests are never there.').map(({ name }) => name.replace(/.* leaves /, ''));

/** The suite waits there with the first leg for D that it sees, which is the conditional one. */
const GAP = ['between the prefill leg and the decode leg'];

/** Where the requests of the manager come through, each with what is never reached there. */
const ways: readonly (readonly [
  string,
  ((at: string) => Error) | undefined | 'not_cached',
  object,
  readonly string[],
])[] = [
  [
    'when prompts are cached',
    undefined,
    {},
    ['while the prefill leg runs', 'between the prefill leg and the decode leg'],
  ],
  ['when prompts are not cached', 'not_cached', {}, GAP],
  ['when prompts are not cached, and this instance prefills', 'not_cached', { prefill: [] }, GAP],
  ['when the first try fails', (at) => new RemoteUnavailableError(at, 'failed', undefined, 503), {}, GAP],
];

describe('conditional-decode', () => {
  it.each(ways)(
    'keeps what Baton expects of every manager %s',
    async (_when, fails, host, expected) => {
      const report = await conformManager(
        {
          name: 'conditional-decode',
          create: (made) => {
            if (fails === 'not_cached') refuseConditional(made);
            else if (fails !== undefined) refuseConditional(made, fails);
            return made.create(ConditionalDecodeManager);
          },
        },
        { host: { pluginOptions: optionsOf(), ...host } },
      );
      assertConforms(report);
      // What is never looked at is no proof of anything.
      expect(unreached(report)).toEqual(expected);
    },
    TIMEOUT_MS,
  );
});
