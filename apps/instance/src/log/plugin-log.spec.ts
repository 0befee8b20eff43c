import { expect, it } from '@jest/globals';
import { pino } from 'pino';
import { Subject } from 'rxjs';
import { PluginLog } from './plugin-log.js';

it('writes down what happens to plugins, and of an error nothing that may be a piece of a request', () => {
  const lines: string[] = [];
  const [events, faults] = [new Subject<object>(), new Subject<object>()];
  const logger = pino({ base: undefined, timestamp: false }, { write: (line: string) => void lines.push(line) });
  const log = new PluginLog(logger, { events, faults });
  events.next({ action: 'loaded', plugin: 'a', version: '1.0.0' });
  faults.next({ plugin: 'a', error: new SyntaxError('Unexpected token: the owl sings') });
  expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
    { level: 30, action: 'loaded', plugin: 'a', version: '1.0.0', msg: 'A plugin has changed' },
    {
      ...{ level: 40, plugin: 'a', msg: 'A plugin has failed' },
      err: expect.objectContaining({ message: 'The text could not be parsed.' }),
    },
  ]);
  log.onApplicationShutdown();
  expect([events.observed, faults.observed]).toEqual([false, false]);
});
