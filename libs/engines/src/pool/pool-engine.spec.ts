import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseEndpoint, type Endpoint } from '@baton/remotes';
import { afterEach, describe, expect, it } from '@jest/globals';
import { firstValueFrom } from 'rxjs';
import { PoolEngine } from './pool-engine.js';

const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

/** A vLLM-like server that answers everything with its name, or with `status`. */
async function server(name: string, status = 200): Promise<{ endpoint: Endpoint; seen: string[] }> {
  const seen: string[] = [];
  const listening = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    request.resume().on('end', () => {
      const answer = status === 200 ? { data: [{ id: name }], by: name } : { error: { message: name } };
      response.writeHead(status).end(JSON.stringify(answer));
    });
  });
  await once(listening.listen(0, '127.0.0.1'), 'listening');
  opened.push(
    () => listening.close(),
    () => listening.closeAllConnections(),
  );
  const url = `http://127.0.0.1:${(listening.address() as AddressInfo).port}`;
  return { endpoint: parseEndpoint({ url, dialect: 'vllm' }), seen };
}

/** An endpoint at which nobody listens. */
async function nobody(): Promise<Endpoint> {
  const listening = createServer();
  await once(listening.listen(0, '127.0.0.1'), 'listening');
  const { port } = listening.address() as AddressInfo;
  await once(listening.close(), 'close');
  return parseEndpoint({ url: `http://127.0.0.1:${port}`, dialect: 'vllm' });
}

function engineOf(prefill: readonly Endpoint[], decode: readonly Endpoint[]): PoolEngine {
  const engine = new PoolEngine({ prefill, decode });
  opened.push(() => engine.stop());
  return engine;
}

describe('PoolEngine', () => {
  it('runs no leg', async () => {
    const engine = engineOf([], []);
    await expect(firstValueFrom(engine.run())).rejects.toMatchObject({ status: 503, code: 'no_local_engine' });
    expect(engine.check()).toBeUndefined();
    expect([engine.connectors, 'endpoint' in engine]).toEqual([[], false]);
  });

  it('asks prefill servers for tokens and decode servers for the rest', async () => {
    const [prefill, decode] = [await server('p'), await server('d')];
    const engine = engineOf([prefill.endpoint], [decode.endpoint]);
    expect(await engine.tokenize({})).toMatchObject({ by: 'p' });
    expect(await engine.render('chat', {})).toMatchObject({ by: 'p' });
    expect(await engine.models()).toMatchObject([{ id: 'd' }]);
    expect(await engine.detokenize({})).toMatchObject({ by: 'd' });
    expect(await engine.derender('completions', {})).toMatchObject({ by: 'd' });
  });

  it('asks the other pool when one is empty', async () => {
    const { endpoint } = await server('x');
    expect(await engineOf([endpoint], []).models()).toMatchObject([{ id: 'x' }]);
    expect(await engineOf([], [endpoint]).tokenize({})).toMatchObject({ by: 'x' });
    await expect(engineOf([], []).models()).rejects.toMatchObject({ status: 503, code: 'remote_no_endpoint' });
  });

  it('asks the next server when one cannot be reached or fails', async () => {
    const [failing, works] = [await server('f', 500), await server('w')];
    const endpoints = [await nobody(), failing.endpoint, works.endpoint];
    expect(await engineOf(endpoints, []).tokenize({})).toMatchObject({ by: 'w' });
    expect(failing.seen).toHaveLength(1);
    const none = engineOf([await nobody(), failing.endpoint], []);
    await expect(none.tokenize({})).rejects.toMatchObject({ code: 'remote_connect' });
  });

  it('asks nobody else what the request is to blame for', async () => {
    const [refuses, works] = [await server('no such model', 404), await server('w')];
    const engine = engineOf([refuses.endpoint, works.endpoint], []);
    await expect(engine.tokenize({})).rejects.toMatchObject({ status: 404, message: 'no such model' });
    expect(works.seen).toEqual([]);
  });

  it('is ready while each pool has a healthy endpoint', async () => {
    const [up, down] = [await server('up'), await server('down', 503)];
    const engine = engineOf([down.endpoint, up.endpoint], [up.endpoint]);
    expect(engine.metrics()).toEqual([]);
    expect(await Promise.all([engine.health(), engine.health()])).toEqual([{ ready: true }, { ready: true }]);
    expect(await engine.health()).toEqual({ ready: true });
    expect(down.seen).toEqual(['GET /health']);
    expect(engine.metrics()).toMatchObject([
      {
        name: 'remote_up',
        samples: [
          { labels: { pool: 'prefill', endpoint: down.endpoint.name }, value: 0 },
          { labels: { pool: 'prefill', endpoint: up.endpoint.name }, value: 1 },
          { labels: { pool: 'decode', endpoint: up.endpoint.name }, value: 1 },
        ],
      },
    ]);
  });

  it('names the pool that keeps it from being ready', async () => {
    const [up, down] = [await server('up'), await server('down', 503)];
    expect(await engineOf([up.endpoint], [down.endpoint]).health()).toEqual({
      ready: false,
      reason: 'No decode endpoint is healthy: The remote instance is busy.',
    });
    expect(await engineOf([await nobody()], []).health()).toMatchObject({
      ready: false,
      reason: expect.stringContaining('No prefill endpoint'),
    });
    expect(await engineOf([], []).health()).toMatchObject({ ready: false });
  });
});
