import { describe, expect, it } from '@jest/globals';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadConfig } from './load-config.js';

const DIRECTORY = fileURLToPath(new URL('../../../../examples/', import.meta.url));
const files = readdirSync(DIRECTORY);

describe('the examples', () => {
  it('are those that the documentation names', () => {
    expect(files.sort()).toEqual([
      'llamacpp.yaml',
      'mooncake-pd.yaml',
      'sglang-pd.yaml',
      'trtllm-pd.yaml',
      'vllm-pd.yaml',
      'vllm-sidecar-decode.yaml',
      'vllm-sidecar-prefill.yaml',
    ]);
  });

  it.each(files)('%s is a valid configuration, for servers on this machine', (name) => {
    const { server, engine, coordination } = loadConfig({ file: DIRECTORY + name, env: {} });
    expect(server.port).toBe(8000);
    expect(engine.kind).not.toBe('embedded');
    expect([engine, coordination.prefill, coordination.decode].map(({ dialect }) => dialect)).not.toEqual([
      'openai',
      'openai',
      'openai',
    ]);
    expect(coordination.connector === '').toBe(name === 'llamacpp.yaml');
  });
});
