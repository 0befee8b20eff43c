import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { InstanceProcess } from './support/instance-process.js';

interface Operation {
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, unknown>> }>>;
  readonly summary?: string;
  readonly requestBody?: unknown;
}
interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

/**
 * Every route that a client may use. A route that is added must be added here too, and described; that the server has
 * these routes and no other is what `apps/instance/src/openapi/routes.spec.ts` shows.
 */
const ROUTES = [
  'get /baton/v1/info',
  'get /docs',
  'get /health/live',
  'get /health/ready',
  'get /metrics',
  'get /openapi.json',
  'get /v1/models',
  'get /v1/models/{id}',
  'post /abort_requests',
  'post /detokenize',
  'post /inference/v1/abort_requests',
  'post /inference/v1/generate',
  'post /tokenize',
  'post /v1/chat/completions',
  'post /v1/chat/completions/derender',
  'post /v1/chat/completions/render',
  'post /v1/completions',
  'post /v1/completions/derender',
  'post /v1/completions/render',
  'post /v1/inference/generate',
];
/** The code of the answer to a path that is no route. */
const NO_ROUTE = '"code":"not_found"';
const STREAMING = ROUTES.filter((route) => /(completions|generate)$/.test(route));

describe('the OpenAPI document', () => {
  let instance: InstanceProcess;
  let text: string;
  let document: Document;

  beforeAll(async () => {
    instance = await InstanceProcess.start({ BATON_ENGINE_KIND: 'http', BATON_ENGINE_URL: 'http://127.0.0.1:9' });
    text = await (await fetch(`${instance.url}/openapi.json`)).text();
    document = JSON.parse(text) as Document;
  });
  afterAll(() => instance.stop());

  const operations = (): [string, Operation][] =>
    Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]): [string, Operation] => [`${method} ${path}`, operation]),
    );

  it('passes the linter', async () => {
    const config = await createConfig({
      extends: ['recommended'],
      // The document has no address of its own: it is served by the instance that it describes.
      rules: { 'no-server-example.com': 'off', 'security-defined': 'off' },
    });
    const problems = await lintFromString({ source: text, config });
    expect(
      problems
        .filter(({ severity }) => severity === 'error')
        .map(({ message, location }) => `${message} ${location[0]?.pointer}`),
    ).toEqual([]);
    expect(document.openapi).toMatch(/^3\.1/);
  });

  it('describes every route, and no other', () => {
    expect(
      operations()
        .map(([route]) => route)
        .sort(),
    ).toEqual(ROUTES);
  });

  it.each(ROUTES)('%s is a route of the server', async (route) => {
    const [method, path] = route.split(' ') as [string, string];
    const response = await fetch(instance.url + path.replace('{id}', 'x'), {
      method: method.toUpperCase(),
      ...(method === 'post' ? { headers: { 'content-type': 'application/json' }, body: '{"prompt":1}' } : {}),
    });
    const body = await response.text();
    // What an instance says of a path that it does not know; see the test below.
    expect(body).not.toContain(NO_ROUTE);
    expect([200, 400, 404, 502, 503]).toContain(response.status);
    // What it answered is described.
    const operation = operations().find(([name]) => name === route)![1];
    expect(Object.keys(operation.responses)).toContain(String(response.status));
  });

  it.each(['get', 'post'])('%s of a path that is no route is told apart', async (method) => {
    const response = await fetch(`${instance.url}/v1/nowhere`, { method: method.toUpperCase() });
    expect(response.status).toBe(404);
    expect(await response.text()).toContain(NO_ROUTE);
  });

  it('describes both answers of streaming routes and every error in the OpenAI shape', () => {
    for (const [route, { responses, requestBody }] of operations()) {
      if (!STREAMING.includes(route)) continue;
      expect({ route, types: Object.keys(responses['200']!.content!).sort() }).toEqual({
        route,
        types: ['application/json', 'text/event-stream'],
      });
      for (const status of ['400', '404', '413', '500', '502', '503', '504']) {
        expect({ route, status, content: responses[status]?.content }).toMatchObject({
          content: { 'application/json': {} },
        });
        expect(JSON.stringify(responses[status]!.content)).toContain('ErrorBody');
      }
      expect(requestBody).toBeDefined();
    }
  });

  it('is shown by a page that needs no network', async () => {
    const page = await fetch(`${instance.url}/docs`);
    const html = await page.text();
    expect(page.status).toBe(200);
    expect(html).toContain('swagger-ui');
    const assets = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1]!);
    expect(assets.length).toBeGreaterThan(2);
    for (const asset of assets) {
      const url = new URL(asset, page.url.endsWith('/') ? page.url : `${page.url}/`);
      expect(url.origin).toBe(instance.url);
      expect((await fetch(new URL(asset, page.url))).status).toBe(200);
    }
  });
});
