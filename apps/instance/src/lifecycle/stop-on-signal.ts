import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from 'pino';
import { DrainService } from './drain.service.js';

/** After the drain: for connections that are open without an answer under way. */
const CLOSE_GRACE_MS = 2_000;
/** Nobody waits for the answers of an instance whose parent has gone. */
const ORPHAN_DRAIN_MS = 0;
/** A log that nobody reads any more must not keep the process. */
const FLUSH_TIMEOUT_MS = 1_000;

/** The exit code of a process that a signal ended. */
const SIGNAL_EXIT_CODES = { SIGTERM: 143, SIGINT: 130 } as const;

/**
 * Ends the process in order: on SIGTERM or SIGINT after a drain, with exit code 0; on a second signal at once; and
 * when the parent that forked it has gone.
 */
export function stopOnSignal(app: NestFastifyApplication, logger: Logger): void {
  let isStopping = false;
  const stop = (why: string, drainTimeoutMs?: number): void => {
    isStopping = true;
    logger.info({ why }, 'Shutting down');
    close(app, drainTimeoutMs).then(
      () => exit(logger, 0),
      (error: unknown) => {
        logger.error({ err: error }, 'The shutdown failed');
        exit(logger, 1);
      },
    );
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => (isStopping ? exit(logger, SIGNAL_EXIT_CODES[signal]) : stop(signal)));
  }
  process.once('disconnect', () => {
    if (!isStopping) stop('the parent process has gone', ORPHAN_DRAIN_MS);
  });
}

async function close(app: NestFastifyApplication, drainTimeoutMs?: number): Promise<void> {
  await app.get(DrainService).begin(drainTimeoutMs);
  const force = setTimeout(() => app.getHttpServer().closeAllConnections(), CLOSE_GRACE_MS);
  await app.close();
  clearTimeout(force);
}

function exit(logger: Logger, code: number): void {
  setTimeout(() => process.exit(code), FLUSH_TIMEOUT_MS);
  logger.flush(() => process.exit(code));
}
