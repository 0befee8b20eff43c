import { describe, expect, it } from '@jest/globals';
import type { JsonObject } from '@baton/inference';
import { BodyFields } from './body-fields.js';
import { readSampling, type Sampling } from './sampling.js';

const read = (body: JsonObject, path = ''): Sampling => readSampling(new BodyFields(body, path), 100);

describe('readSampling', () => {
  it('has the defaults of OpenAI and vLLM', () => {
    expect(read({})).toMatchObject({
      temperature: 1,
      topP: 1,
      topK: 0,
      minP: 0,
      seed: undefined,
      repetitionPenalty: 1,
    });
  });

  it('takes null for absent', () => {
    expect(read({ temperature: null, seed: null })).toEqual(read({}));
  });

  it.each([
    [0, 0],
    [1e-6, 0],
    [0.001, 0.01],
    [0.7, 0.7],
  ])('reads the temperature %s as %s', (given, expected) => {
    expect(read({ temperature: given }).temperature).toBe(expected);
  });

  it.each([
    [-1, 2 ** 32 - 1],
    [2 ** 32 + 5, 5],
    [7, 7],
    [2n ** 64n - 1n, 2 ** 32 - 1],
  ])('reads the seed %s as %s', (given, expected) => {
    expect(read({ seed: given }).seed).toBe(expected);
  });

  it('reads logit_bias', () => {
    expect([...read({ logit_bias: { 5: -100, 9: 2 } }).logitBias]).toEqual([
      [5, -100],
      [9, 2],
    ]);
  });

  it.each([
    [{ temperature: 2.1 }, 'temperature'],
    [{ temperature: 'hot' }, 'temperature'],
    [{ top_p: 0 }, 'top_p'],
    [{ top_p: 1.1 }, 'top_p'],
    [{ top_k: -2 }, 'top_k'],
    [{ top_k: 1.5 }, 'top_k'],
    [{ min_p: -0.1 }, 'min_p'],
    [{ seed: 0.5 }, 'seed'],
    [{ presence_penalty: 3 }, 'presence_penalty'],
    [{ frequency_penalty: -3 }, 'frequency_penalty'],
    [{ repetition_penalty: 0 }, 'repetition_penalty'],
    [{ logit_bias: { 100: 1 } }, 'logit_bias.100'],
    [{ logit_bias: { x: 1 } }, 'logit_bias.x'],
    [{ logit_bias: { 1: 101 } }, 'logit_bias.1'],
  ] as [JsonObject, string][])('refuses %j', (body, param) => {
    expect(() => read(body)).toThrow(expect.objectContaining({ status: 400, param }));
  });

  it('names the field by its whole path', () => {
    expect(() => read({ top_p: 2 }, 'sampling_params.')).toThrow(
      expect.objectContaining({ param: 'sampling_params.top_p', message: expect.stringContaining('greater than 0') }),
    );
  });
});
