import {
  DecodeLocalPrefillRemoteManager,
  LocalManager,
  PrefillLocalDecodeRemoteManager,
  PrefillRemoteDecodeRemoteManager,
  RemoteManager,
} from '@baton/coordination';
import { describe, expect, it } from '@jest/globals';
import { assertConforms, type ConformanceReport } from '../report.js';
import { conformManager } from './conform-manager.js';
import {
  ByHandManager,
  EditsWhatItDeclines,
  ForgetsToCancelD,
  LeaksTheHandoff,
  RejectsUnseen,
  StartsTooEarly,
  SwallowsTheErrorOfP,
} from './wrong-managers.spec-support.js';

/** A report takes some seconds on a busy machine. */
const TIMEOUT_MS = 120_000;

const failed = ({ checks }: ConformanceReport): readonly string[] =>
  checks.filter(({ passed }) => !passed).map(({ name }) => name);
const never = ({ checks }: ConformanceReport): readonly string[] =>
  checks.filter(({ why }) => why === 'Its requests are never there.').map(({ name }) => name.replace(/.* leaves /, ''));

const NO_PREFILL = ['while the prefill leg runs', 'between the prefill leg and the decode leg'];

describe('a manager that is right', () => {
  it.each([
    ['decode-local-prefill-remote', DecodeLocalPrefillRemoteManager, {}, []],
    ['local', LocalManager, {}, ['before the first leg is sent', ...NO_PREFILL]],
    ['prefill-local-decode-remote', PrefillLocalDecodeRemoteManager, {}, []],
    ['prefill-remote-decode-remote', PrefillRemoteDecodeRemoteManager, {}, []],
    ['remote', RemoteManager, { host: { isLocalAvailable: false } }, NO_PREFILL],
    ['by-hand', ByHandManager, {}, []],
  ])(
    '%s conforms',
    async (name, manager, options, unreached) => {
      const report = await conformManager(manager, options);
      expect(() => assertConforms(report)).not.toThrow();
      expect(report).toMatchObject({ subject: `manager ${name}`, passed: true });
      expect(report.checks).toHaveLength(21);
      // What is never looked at is no proof of anything.
      expect(never(report)).toEqual(unreached);
    },
    TIMEOUT_MS,
  );
});

describe('a manager that is wrong', () => {
  it.each([
    [
      'leaks the handoff',
      LeaksTheHandoff,
      ['gives everything back when the client leaves between the prefill leg and the decode leg'],
      /KV that nobody frees/,
    ],
    [
      "edits the client's request when it declines",
      EditsWhatItDeclines,
      ['leaves a request untouched that it declines'],
      /max_tokens/,
    ],
    [
      'starts before it is subscribed to',
      StartsTooEarly,
      ['begins no work before it is subscribed to'],
      /1 endpoint\(s\) were picked/,
    ],
    [
      'swallows the error of P',
      SwallowsTheErrorOfP,
      ['ends with one error, or with another answer, when the prefill leg fails'],
      /got "" in place of/,
    ],
    [
      'forgets to cancel D',
      ForgetsToCancelD,
      ['when the decode leg is sent', 'while the decode leg answers'].map(
        (when) => `gives everything back when the client leaves ${when}`,
      ),
      /a leg that runs on decode-/,
    ],
    [
      'lets an error reach nobody',
      RejectsUnseen,
      ['leaves no error uncaught and no rejection unhandled'],
      /nobody sees this/,
    ],
  ])(
    'that %s is red for that, and for nothing else',
    async (_what, manager, expected, why) => {
      const report = await conformManager(manager);
      expect(failed(report)).toEqual(expected);
      expect(() => assertConforms(report)).toThrow(why);
    },
    TIMEOUT_MS,
  );
});
