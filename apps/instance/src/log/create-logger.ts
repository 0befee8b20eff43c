import { destination, pino, type Logger } from 'pino';
import type { LogConfig } from '../config/instance-config.js';

/** Lines that a slow reader has not taken; more are dropped, since a log must not stop the server. */
const MAX_PENDING_BYTES = 4 * 1024 * 1024;

/** The log on standard output: one JSON object a line. No prompts, answers or headers are ever put in it. */
export function createLogger({ level }: LogConfig): Logger {
  return pino({ level, base: undefined }, destination({ dest: 1, sync: false, maxLength: MAX_PENDING_BYTES }));
}
