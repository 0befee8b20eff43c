import type { EndpointOptions, RemoteClientOptions } from '@baton/remotes';

/** What {@link CoordinationModule.forRoot} takes. Everything is optional; without a connector it is switched off. */
export interface CoordinationOptions {
  /**
   * Name of the KV connector to use. Undefined switches coordination off: every request runs on this instance,
   * untouched.
   */
  readonly connector?: string;
  /** Name of the endpoint picker. Default `static`. */
  readonly picker?: string;
  /** The instances that decode legs go to, and the bounds of calls to them. */
  readonly decode?: RemoteClientOptions & { readonly endpoints?: readonly EndpointOptions[] };
  /** For freeing the KV of a handoff whose client has gone. Default 5,000 ms. */
  readonly releaseTimeoutMs?: number;
  /** A client that takes nothing for this long is cut off. Default 30,000 ms. */
  readonly stallTimeoutMs?: number;
  /** Bytes of a stream that wait for a slow client before its sources are paused. Default 65,536. */
  readonly highWaterBytes?: number;
}

export const DEFAULT_RELEASE_TIMEOUT_MS = 5_000;
export const DEFAULT_STALL_TIMEOUT_MS = 30_000;
export const DEFAULT_HIGH_WATER_BYTES = 65_536;
export const DEFAULT_PICKER = 'static';
