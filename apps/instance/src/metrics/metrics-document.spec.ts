import { PoolEngine } from '@baton/engines';
import { expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { pino } from 'pino';
import { createInstance } from '../bootstrap.js';
import { loadConfig } from '../config/load-config.js';

const DOCUMENT = readFileSync(new URL('../../../../docs/metrics.md', import.meta.url), 'utf8');
/** Those of the process are prom-client's own. */
const OURS = /^baton_(?!process_|nodejs_)/;

it('docs/metrics.md lists what /metrics shows', async () => {
  const engine = new PoolEngine({ prefill: [], decode: [] });
  const app = await createInstance(loadConfig({ env: { BATON_PLUGIN_DIRECTORIES: '' } }), {
    engine,
    logger: pino({ level: 'silent' }),
  });
  await app.init();
  await app.inject('/health/live');
  const { body } = await app.inject('/metrics');
  await app.close();
  const shown = [...body.matchAll(/^# HELP (\S+)/gm)].flatMap(([, name = '']) => (OURS.test(name) ? [name] : []));
  const listed = [...DOCUMENT.matchAll(/^\| `(\w+)`/gm)].map(([, name = '']) => name);
  const ofEngines = (name: string): boolean => /^baton_(engine|remote|breaker|upstream)_/.test(name);
  expect(listed.filter((name) => !ofEngines(name)).sort()).toEqual(shown.filter((name) => !ofEngines(name)).sort());
});
