import { describe, expect, it } from '@jest/globals';
import { sampleLogprobs } from './logprobs.js';

const softmax = (logits: number[], temperature: number): Map<number, number> => {
  const weights = logits.map((logit) => Math.exp(logit / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return new Map(weights.map((weight, token) => [token, weight / total]));
};

describe('sampleLogprobs', () => {
  it.each([1, 0.5, 1.7])('takes the temperature %s out again', (temperature) => {
    const logits = [3, 2, -1];
    const { logprob, rank, top } = sampleLogprobs(
      { token: 1, probabilities: softmax(logits, temperature) },
      temperature,
      2,
    );
    expect(logprob).toBeCloseTo(Math.log(softmax(logits, 1).get(1) ?? 0), 10);
    expect(rank).toBe(2);
    expect(top.map(({ token }) => token)).toEqual([0, 1]);
  });

  it('has a number for what is impossible', () => {
    const { top } = sampleLogprobs(
      {
        token: 0,
        probabilities: new Map([
          [0, 1],
          [1, 0],
        ]),
      },
      0,
      2,
    );
    expect(top).toEqual([
      { token: 0, logprob: 0 },
      { token: 1, logprob: -9999 },
    ]);
  });
});
