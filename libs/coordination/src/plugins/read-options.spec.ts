import { describe, expect, it } from '@jest/globals';
import { IsInt, IsOptional, Min } from 'class-validator';
import { readOptions } from './read-options.js';

class Options {
  @IsInt()
  @Min(1)
  readonly limit: number = 3;

  @IsOptional()
  readonly key?: string;
}

const read = (schema: unknown, value: unknown): Promise<unknown> => readOptions('x', schema, value, 50);
const refused = (schema: unknown, value: unknown, says: RegExp): Promise<void> =>
  expect(read(schema, value)).rejects.toMatchObject({
    code: 'plugin_invalid_options',
    message: expect.stringMatching(says),
  });

describe('readOptions', () => {
  it('makes an instance of the class, with its defaults', async () => {
    expect(await read(Options, undefined)).toEqual(new Options());
    const options = await read(Options, { limit: 7 });
    expect(options).toBeInstanceOf(Options);
    expect(options).toMatchObject({ limit: 7 });
  });

  it('names each option that is wrong, and tells no value', async () => {
    await refused(Options, { limit: 'secret' }, /limit must be an integer/);
    await refused(Options, { limt: 1 }, /limt should not exist/);
    await expect(read(Options, { limit: 'secret' })).rejects.not.toMatchObject({
      message: expect.stringMatching(/secret/),
    });
  });

  it('takes a Standard Schema, also one that is a function or answers later', async () => {
    const validate = async (value: unknown) => ({ value: { ...(value as object), made: true } });
    const schema = Object.assign(() => undefined, { '~standard': { version: 1, vendor: 'test', validate } });
    expect(await read(schema, { a: 1 })).toEqual({ a: 1, made: true });
    const issues = [{ message: 'too low', path: ['a', { key: 0 }] }, { message: 'all wrong' }];
    await refused({ '~standard': { validate: () => ({ issues }) } }, {}, /a\.0: too low; all wrong/);
  });

  it('is not hurt by what the check does', async () => {
    const throws = {
      '~standard': {
        validate: () => {
          throw new Error('oops');
        },
      },
    };
    await refused(throws, {}, /threw \(Error: oops\)/);
    const hangs = { '~standard': { validate: () => new Promise(() => undefined) } };
    await expect(read(hangs, {})).rejects.toMatchObject({
      code: 'plugin_timeout',
      message: expect.stringMatching(/50 ms/),
    });
    await refused('no schema', {}, /neither a class nor a Standard Schema/);
  });

  it('refuses options of a plugin that takes none, and what is no map', async () => {
    await refused(undefined, { a: 1 }, /takes none, but has a/);
    await refused(Options, [1], /no map/);
    expect(await read(undefined, undefined)).toEqual({});
  });

  it('gives a copy', async () => {
    const configured = { list: [1] };
    const same = { '~standard': { validate: (value: unknown) => ({ value }) } };
    const options = (await read(same, configured)) as typeof configured;
    options.list.push(2);
    expect(configured.list).toEqual([1]);
  });
});
