/** Injection token of the {@link Engine} that this instance stands in front of. */
export const ENGINE = Symbol.for('baton/engine');
