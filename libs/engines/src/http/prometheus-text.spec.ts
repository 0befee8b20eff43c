import { describe, expect, it } from '@jest/globals';
import { sampleValues } from './prometheus-text.js';

const TEXT = [
  '# HELP vllm:num_requests_waiting Number of requests waiting.',
  '# TYPE vllm:num_requests_waiting gauge',
  'vllm:num_requests_waiting{engine="0",model_name="a"} 3.0',
  'vllm:num_requests_waiting{engine="1",model_name="a \\"}\\" 7 {b"} 4.0 1795000000000',
  'vllm:num_requests_waiting_total{engine="0"} 100',
  'llamacpp:requests_processing 2\r',
  'openmetrics_value{a="b"}\t1e-1 # {trace_id="x"} 9',
  'bad{a="b} 1',
  'bad nothing',
  'bad NaN',
  'bad{} +Inf',
  'bad',
  'bad{a="1"}5',
  '',
].join('\n');

describe('sampleValues', () => {
  it.each([
    ['vllm:num_requests_waiting', [3, 4]],
    ['vllm:num_requests_waiting_total', [100]],
    ['vllm:num_requests', []],
    ['llamacpp:requests_processing', [2]],
    ['openmetrics_value', [0.1]],
    ['bad', []],
  ])('reads %s', (name, values) => {
    expect(sampleValues(TEXT, name)).toEqual(values);
  });

  it('reads a malformed line in a time that grows with its length only', () => {
    const line = `x{a="${'\\"} '.repeat(200_000)}`;
    const started = performance.now();
    expect(sampleValues(line, 'x')).toEqual([]);
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});
