import type { Engine } from '@baton/engines';
import { createInstance } from '../bootstrap.js';
import type { InstanceConfig } from '../config/instance-config.js';
import { ENGINE } from '../engine/engine.token.js';
import { createLogger } from '../log/create-logger.js';
import { listen } from './listen.js';
import { stopOnSignal } from './stop-on-signal.js';

/**
 * Serves until the process is told to stop.
 *
 * @throws Error in a sentence when the instance cannot start.
 */
export async function runInstance(config: InstanceConfig): Promise<void> {
  const logger = createLogger(config.log);
  const app = await createInstance(config, { logger });
  stopOnSignal(app, logger);
  try {
    const url = (await listen(app, config.server)).origin;
    const address = { url, port: Number(new URL(url).port), kvPort: app.get<Engine>(ENGINE).kvPort };
    logger.info(address, 'The instance is ready');
    process.send?.({ type: 'ready', ...address });
  } catch (error) {
    await app.close();
    throw error;
  }
}
