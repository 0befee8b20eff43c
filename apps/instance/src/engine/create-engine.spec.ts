import { EmbeddedEngine, HttpEngine, PoolEngine } from '@baton/engines';
import { inferenceRequest } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { lastValueFrom } from 'rxjs';
import { OWN_KEY } from '../security/own-key.js';
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

it('bounds the events of an HTTP engine as configured', async () => {
  const server = createServer((_request, response) => {
    // An event that does not end.
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write(`data: ${'a'.repeat(2_048)}`);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const env = {
    ...http,
    BATON_ENGINE_DIALECT: 'vllm',
    BATON_ENGINE_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    BATON_ENGINE_MAX_EVENT_BYTES: '1024',
  };
  const engine = createEngine(loadConfig({ env }), () => undefined);
  const answer = lastValueFrom(engine.run(inferenceRequest('completions', { prompt: 'a', stream: true })));
  await expect(answer).rejects.toMatchObject({ status: 502 });
  await engine.stop();
  server.closeAllConnections();
  server.close();
});

describe('coordinationOptions', () => {
  it('says what runs the local legs, or that nothing does', () => {
    const local = (env: NodeJS.ProcessEnv) => coordinationOptions(loadConfig({ env })).local;
    expect(local({})).toEqual({ isAvailable: true, checksAddresses: true, kvApiKey: OWN_KEY });
    expect(local(none)).toEqual({ isAvailable: false, checksAddresses: false });
    expect(local(http)).toEqual({
      isAvailable: true,
      checksAddresses: false,
      endpoint: { url: 'http://127.0.0.1:8100', apiKey: undefined, kvAddress: '127.0.0.1:8998', dialect: 'sglang' },
    });
  });

  it('hands on everything else', () => {
    expect(coordinationOptions(loadConfig({ env: { ...none, BATON_COORDINATION_RETRY_BUDGET_PERCENT: '0' } }))).toEqual(
      expect.objectContaining({
        connector: 'nixl',
        prefill: expect.objectContaining({ endpoints: ['http://a:1'], dialect: 'vllm', headTimeoutMs: 60_000 }),
        decode: expect.objectContaining({
          endpoints: ['http://b:1'],
          dialect: 'openai',
          maxEventBytes: 4_194_304,
        }),
        managers: [],
        transferTimeoutMs: 30_000,
        releaseTimeoutMs: 5_000,
        stallTimeoutMs: 30_000,
        retryBudget: { percent: 0, perSecond: 10 },
      }),
    );
    expect(coordinationOptions(loadConfig({ env: {} })).connector).toBeUndefined();
  });
});
