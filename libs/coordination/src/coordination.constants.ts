/** Injection tokens. Global symbols, so that a plugin's own copy of this package means the same providers. */
export const COORDINATION_OPTIONS = Symbol.for('baton/coordination-options');
/** The {@link RemotePool} that prefill legs go to. */
export const PREFILL_POOL = Symbol.for('baton/prefill-pool');
/** The {@link RemotePool} that decode legs go to. */
export const DECODE_POOL = Symbol.for('baton/decode-pool');
/** The HTTP client to prefill instances. */
export const PREFILL_CLIENT = Symbol.for('baton/prefill-client');
/** The HTTP client to decode instances, and to side channels. */
export const REMOTE_CLIENT = Symbol.for('baton/remote-client');
