import { describe, expect, it } from '@jest/globals';
import { validate } from 'class-validator';
import { optionsOf } from './picks.spec-support.js';

const faultsOf = async (options: object): Promise<readonly string[]> =>
  (await validate(Object.assign(optionsOf(), options))).flatMap(({ constraints = {} }) => Object.values(constraints));

describe('SessionAffinityOptions', () => {
  it('has a default for each', async () => {
    expect({ ...optionsOf() }).toEqual({ header: 'x-session-id', prefixBytes: 256, loadFactor: 1.25 });
    expect(await faultsOf({})).toEqual([]);
  });

  it.each([
    [{ header: '' }, 'header must be the name of a header, such as x-session-id'],
    [{ header: 'a b' }, 'header must be the name of a header, such as x-session-id'],
    [{ header: 7 }, 'header must be the name of a header, such as x-session-id'],
    [{ prefixBytes: -1 }, 'prefixBytes must be at least 0'],
    [{ prefixBytes: 65_537 }, 'prefixBytes must be at most 65536'],
    [{ prefixBytes: 1.5 }, 'prefixBytes must be a whole number of bytes'],
    [{ loadFactor: 0.9 }, 'loadFactor must be at least 1: below, there would not be room for all'],
    [{ loadFactor: 1_001 }, 'loadFactor must be at most 1000'],
    [{ loadFactor: NaN }, 'loadFactor must be a number'],
  ])('says what is wrong with %j', async (options, message) => {
    expect(await faultsOf(options)).toContain(message);
  });
});
