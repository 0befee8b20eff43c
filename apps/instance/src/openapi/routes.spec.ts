import type { Engine } from '@baton/engines';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, RouteOptions } from 'fastify';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { pino } from 'pino';
import { EMPTY } from 'rxjs';
import { createInstance } from '../bootstrap.js';
import { loadConfig } from '../config/load-config.js';
import { DOCS_PATH } from './document-routes.js';

const engine: Engine = {
  start: async () => undefined,
  stop: async () => undefined,
  run: () => EMPTY,
  check: () => undefined,
  models: async () => [],
  tokenize: async () => ({}),
  detokenize: async () => ({}),
  connectors: [],
  render: async () => ({}),
  derender: async () => ({}),
  health: async () => ({ ready: true }),
  metrics: () => [],
};

/** Fastify publishes each new instance here, before anything can add a route to it. */
const CREATED = 'fastify.initialization';

/** The page of Swagger UI: its files, and its other addresses. They come and go with that package. */
const isPartOfDocsPage = (path: string): boolean => path.startsWith(`${DOCS_PATH}/`);

const KEYS = { BATON_SECURITY_ADMIN_KEYS: `ops:${'k'.repeat(32)}` };

describe.each([
  ['without operators', {}],
  ['with operators', KEYS],
])('the routes of an instance %s', (_of, keys) => {
  const routes: string[] = [];
  let app: NestFastifyApplication;
  let document: { readonly paths: Readonly<Record<string, object>> };

  const record = ({ method, url }: RouteOptions): void => {
    for (const one of [method].flat()) routes.push(`${one.toLowerCase()} ${url.replace(/:(\w+)/g, '{$1}')}`);
  };
  const watch = (message: unknown): void => {
    (message as { fastify: FastifyInstance }).fastify.addHook('onRoute', record);
  };

  beforeAll(async () => {
    subscribe(CREATED, watch);
    app = await createInstance(loadConfig({ env: { ...keys, BATON_PLUGIN_DIRECTORIES: '' } }), {
      engine,
      logger: pino({ level: 'silent' }),
    });
    await app.init();
    unsubscribe(CREATED, watch);
    document = (await app.inject({ method: 'GET', url: '/openapi.json' })).json();
  });
  afterAll(() => app.close());

  it('are those that the document describes, and no other', () => {
    const described = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method} ${path}`),
    );
    const served = routes.filter((route) => {
      const [method = '', path = ''] = route.split(' ');
      // Fastify adds a HEAD to each GET.
      const isTwin = method === 'head' && routes.includes(`get ${path}`);
      return !isTwin && !isPartOfDocsPage(path);
    });
    expect(routes.length).toBeGreaterThan(served.length);
    expect(new Set(served)).toEqual(new Set(described));
    expect(served.some((route) => route.includes('/admin/'))).toBe(keys === KEYS);
  });
});
