/** Imported before an instance's modules: collects its garbage, and says so, whenever it is told to. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');

process.on('message', (message) => {
  if (message?.collect !== true) return;
  collect();
  collect();
  const { rss, heapUsed, external } = process.memoryUsage();
  const timers = process.getActiveResourcesInfo().filter((type) => type === 'Timeout').length;
  process.send({ rss, heapUsed, external, timers });
});
