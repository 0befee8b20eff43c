/** Injection token of the {@link InstanceConfig}. */
export const INSTANCE_CONFIG = Symbol.for('baton/instance-config');
