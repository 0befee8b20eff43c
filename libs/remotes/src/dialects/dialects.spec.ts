import { inferenceRequest } from '@baton/inference';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { Dialect } from './dialect.js';
import { DIALECT_NAMES, dialectNames, dialectOf, hasDialect, swapDialects } from './dialects.js';

const apis = ['completions', 'chat', 'generate'] as const;

describe('dialectOf', () => {
  it('knows each by its name, and takes openai for none', () => {
    expect(DIALECT_NAMES).toEqual(['openai', 'vllm', 'sglang', 'trtllm', 'llamacpp']);
    for (const name of DIALECT_NAMES) expect(dialectOf(name).name).toBe(name);
    expect(dialectOf().name).toBe('openai');
    expect(dialectOf(undefined).name).toBe('openai');
  });
});

describe('swapDialects', () => {
  const named = (name: string): Dialect => ({ ...dialectOf('openai'), name });

  afterEach(() => swapDialects(['one', 'two'], []));

  it('puts dialects in and takes them out, in one step or not at all', () => {
    swapDialects([], [named('one')]);
    expect(() => swapDialects(['one'], [named('two'), named('vllm')])).toThrow('Two dialects are named "vllm"');
    expect([hasDialect('one'), hasDialect('two')]).toEqual([true, false]);
    swapDialects(['one', 'nothing'], [named('two')]);
    expect(dialectNames()).toEqual(expect.arrayContaining(['two', 'vllm']));
    expect(hasDialect('one')).toBe(false);
  });

  it('does not take out what comes with Baton', () => {
    expect(() => swapDialects(['vllm'], [named('two')])).toThrow('comes with Baton and stays');
    expect(hasDialect('two')).toBe(false);
  });

  it('says which there are when one is not there', () => {
    expect(() => dialectOf('one')).toThrow('There is no dialect named "one". Known: llamacpp, openai');
    expect(() => dialectOf('constructor')).toThrow('There is no dialect named "constructor"');
  });
});

describe.each(DIALECT_NAMES)('%s', (name) => {
  const dialect = dialectOf(name);

  it('passes chat and completions to the paths of OpenAI, with every field', () => {
    for (const [api, path] of [
      ['chat', '/v1/chat/completions'],
      ['completions', '/v1/completions'],
    ] as const) {
      const leg = inferenceRequest(api, { prompt: 'x', odd: { kept: true }, bootstrap_room: 7 });
      const call = dialect.call(leg);
      expect(call.path).toBe(path);
      expect(call.body).toMatchObject(leg.body);
      expect(dialect.translator?.(leg)).toBeUndefined();
    }
  });

  it('says how it is asked for its health, and whether it may render', () => {
    expect(dialect.healthPath).toBe(name === 'openai' ? '/v1/models' : '/health');
    expect(dialect.renders).toBe(name === 'vllm' || name === 'openai');
    expect(dialect.metrics === undefined).toBe(name === 'openai');
  });
});

describe.each(['openai', 'vllm'] as const)('%s', (name) => {
  it('passes requests of the token endpoint as they are', () => {
    const leg = inferenceRequest('generate', { token_ids: [1], sampling_params: {} });
    expect(dialectOf(name).call(leg)).toEqual({ path: '/inference/v1/generate', body: leg.body });
    expect(dialectOf(name).translator?.(leg)).toBeUndefined();
  });
});

describe('abort', () => {
  it('is by id on the token endpoint of vLLM, under the id that it makes of the header', () => {
    const leg = inferenceRequest('generate', {}, { id: 'leg-1' });
    expect(dialectOf('vllm').abort(leg)).toEqual({
      path: '/inference/v1/abort_requests',
      body: { request_ids: ['generate-tokens-leg-1'] },
    });
    for (const api of ['chat', 'completions'] as const) {
      expect(dialectOf('vllm').abort(inferenceRequest(api, {}))).toBeUndefined();
    }
  });

  it.each(['openai', 'trtllm', 'llamacpp'] as const)('is the closing of the connection for %s', (name) => {
    for (const api of apis) expect(dialectOf(name).abort(inferenceRequest(api, {}))).toBeUndefined();
  });
});
