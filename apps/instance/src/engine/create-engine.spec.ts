import { EmbeddedEngine, HttpEngine, PoolEngine } from '@baton/engines';
import { describe, expect, it } from '@jest/globals';
import { loadConfig } from '../config/load-config.js';
import { coordinationOptions } from './coordination-options.js';
import { createEngine } from './create-engine.js';

const http = {
  BATON_ENGINE_KIND: 'http',
  BATON_ENGINE_URL: 'http://127.0.0.1:8100',
  BATON_ENGINE_DIALECT: 'sglang',
  BATON_ENGINE_KV_ADDRESS: '127.0.0.1:8998',
};
const none = {
  BATON_ENGINE_KIND: 'none',
  BATON_COORDINATION_CONNECTOR: 'nixl',
  BATON_COORDINATION_PREFILL_ENDPOINTS: 'http://a:1',
  BATON_COORDINATION_PREFILL_DIALECT: 'vllm',
  BATON_COORDINATION_DECODE_ENDPOINTS: 'http://b:1',
};

describe('createEngine', () => {
  it.each([
    [{}, EmbeddedEngine],
    [http, HttpEngine],
    [none, PoolEngine],
  ])('makes of %j the engine that it names', async (env, engineClass) => {
    const engine = createEngine(loadConfig({ env }), () => undefined);
    expect(engine).toBeInstanceOf(engineClass);
    await engine.stop();
  });
});

describe('coordinationOptions', () => {
  it('says what runs the local legs, or that nothing does', () => {
    const local = (env: NodeJS.ProcessEnv) => coordinationOptions(loadConfig({ env })).local;
    expect(local({})).toEqual({ isAvailable: true });
    expect(local(none)).toEqual({ isAvailable: false });
    expect(local(http)).toEqual({
      isAvailable: true,
      endpoint: { url: 'http://127.0.0.1:8100', apiKey: undefined, kvAddress: '127.0.0.1:8998', dialect: 'sglang' },
    });
  });

  it('hands on everything else', () => {
    expect(coordinationOptions(loadConfig({ env: { ...none, BATON_COORDINATION_RETRY_BUDGET_PERCENT: '0' } }))).toEqual(
      expect.objectContaining({
        connector: 'nixl',
        prefill: expect.objectContaining({ endpoints: ['http://a:1'], dialect: 'vllm', headTimeoutMs: 60_000 }),
        decode: expect.objectContaining({ endpoints: ['http://b:1'], dialect: 'openai' }),
        managers: [],
        trustManagerHeader: false,
        transferTimeoutMs: 30_000,
        releaseTimeoutMs: 5_000,
        stallTimeoutMs: 30_000,
        retryBudget: { percent: 0, perSecond: 10 },
      }),
    );
    expect(coordinationOptions(loadConfig({ env: {} })).connector).toBeUndefined();
  });
});
