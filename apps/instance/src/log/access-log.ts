import type { Logger } from 'pino';
import type { HttpExchange } from '../http/http-exchange.js';

/** One line for each request that is over. */
export function logExchange(logger: Logger, { isClientGone, ...exchange }: HttpExchange): void {
  logger.info(isClientGone ? { ...exchange, clientGone: true } : exchange, 'request');
}
