/** Injection token of the instance's log, a pino `Logger`. */
export const LOGGER = Symbol.for('baton/logger');
