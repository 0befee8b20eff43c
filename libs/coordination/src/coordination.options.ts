import type { DialectName, EndpointOptions, RemoteClientOptions, RemoteLimits } from '@baton/remotes';
import type { ManagerSettings } from './dispatch/manager-settings.js';

/** The remote instances of one role. */
export interface PoolOptions extends RemoteClientOptions, RemoteLimits {
  readonly endpoints?: readonly EndpointOptions[];
  /** What the endpoints speak that do not say so themselves. Default `openai`, which other instances speak as well. */
  readonly dialect?: DialectName;
}

/** What {@link CoordinationModule.forRoot} takes. Everything is optional; without a connector it is switched off. */
export interface CoordinationOptions {
  /**
   * Name of the KV connector to use. Undefined switches coordination off: every request runs on this instance,
   * untouched.
   */
  readonly connector?: string;
  /** Name of the endpoint picker. Default `static`. */
  readonly picker?: string;
  /**
   * The instances that prefill legs go to, and the bounds of calls to them. A prefill leg has answered when its head is
   * there, so `headTimeoutMs` bounds it, and `answerTimeoutMs` means nothing.
   */
  readonly prefill?: PoolOptions;
  /** The instances that decode legs go to, and the bounds of calls to them. */
  readonly decode?: PoolOptions;
  /** This instance itself. */
  readonly local?: LocalOptions;
  /** Priority, condition and use of managers; those that are not named keep what their decorator says. */
  readonly managers?: readonly ManagerSettings[];
  /**
   * Where changes of policies at run time are kept: `memory` loses them with the process; processes that share a `directory`
   * share their policies. Default memory.
   */
  readonly policyState?: PolicyStateOptions;
  /** Legs that may be sent once more: these percent of all requests, plus so many a second. Default 20 and 10. */
  readonly retryBudget?: { readonly percent?: number; readonly perSecond?: number };
  /**
   * Addresses that a handoff may name, as `host:port` or `host:*`, besides the KV addresses of endpoints, and the host of the
   * endpoint whose answer it is: neither a peer's request nor an answer is trusted to name any address. Default none.
   */
  readonly kvPeers?: readonly string[];
  /** Key for those side channels, sent as a bearer token. Default: none is sent. */
  readonly kvApiKey?: string;
  /** For freeing the KV of a handoff whose client has gone. Default 5,000 ms. */
  readonly releaseTimeoutMs?: number;
  /** How long a KV transfer under way may go on for a client that has gone. Default 30,000 ms. */
  readonly transferTimeoutMs?: number;
  /**
   * How long a prefill under way may go on for a client that has gone, where its answer, once it is made, could not be
   * taken back otherwise. Then its leg is closed. Default 250 ms.
   */
  readonly abandonedPrefillMs?: number;
  /** How long prefill instances keep KV that nobody takes. Default: as long as the connector's protocol does. */
  readonly leaseMs?: number;
  /**
   * What is done with a handoff of which half the lease is over before D could be sent: the prefill is done again (once), or
   * D reads the prompt itself. Default `prefill`.
   */
  readonly staleHandoff?: 'prefill' | 'plain';
  /** For how many of the last requests it is kept what was decided for them and how they went; 0 keeps nothing. Default 256. */
  readonly requestRecords?: number;
  /** How many requests are answered at once, and how many may wait for that. */
  readonly admission?: AdmissionOptions;
  /**
   * For the whole answer to a request; a client may ask for less with `x-request-timeout-ms`. Above 24 days it is 24 days.
   * Default 1,800,000 ms.
   */
  readonly totalTimeoutMs?: number;
  /** A client that takes nothing for this long is cut off. Default 30,000 ms. */
  readonly stallTimeoutMs?: number;
  /** Bytes of a stream that wait for a slow client before its sources are paused. Default 65,536. */
  readonly highWaterBytes?: number;
}

/** Where the versions of the policies are kept. */
export type PolicyStateOptions =
  | { readonly kind: 'memory' }
  | {
      readonly kind: 'file';
      /** A directory for nothing else. It is made when it is not there. */
      readonly directory: string;
      /** Longest time until a version of another process is noticed, in ms. Default 1,000 ms. */
      readonly pollMs?: number;
    };

/** Bounds of the requests that an instance has taken; the legs of other instances have the same bounds, apart from them. */
export interface AdmissionOptions {
  /** Requests that are answered at once. Default 1,024. */
  readonly maxInFlight?: number;
  /** Requests that wait for that; 0 lets none wait. Default 1,024. */
  readonly maxWaiting?: number;
  /** Longest wait. Default 10,000 ms. */
  readonly timeoutMs?: number;
}

/** What this instance can do itself. */
export interface LocalOptions {
  /** Whether handlers run legs. Default true; false for a pure coordinator. */
  readonly isAvailable?: boolean;
  /**
   * Whether the handlers check themselves which addresses a leg names, as the embedded engine does. Default false: a leg that
   * names others than `kvPeers` and KV addresses of endpoints is refused with a 403.
   */
  readonly checksAddresses?: boolean;
  /** Key for the side channel of the engine in this process. */
  readonly kvApiKey?: string;
  /** The engine server behind the handlers, for connectors that have to name it on the wire. */
  readonly endpoint?: EndpointOptions;
}

export const DEFAULT_PREFILL_TIMEOUT_MS = 60_000;
export const DEFAULT_RELEASE_TIMEOUT_MS = 5_000;
export const DEFAULT_TRANSFER_TIMEOUT_MS = 30_000;
export const DEFAULT_ABANDONED_PREFILL_MS = 250;
export const DEFAULT_MAX_IN_FLIGHT = 1_024;
export const DEFAULT_MAX_WAITING = 1_024;
export const DEFAULT_ADMISSION_TIMEOUT_MS = 10_000;
export const DEFAULT_TOTAL_TIMEOUT_MS = 1_800_000;
export const DEFAULT_STALL_TIMEOUT_MS = 30_000;
export const DEFAULT_HIGH_WATER_BYTES = 65_536;
export const DEFAULT_REQUEST_RECORDS = 256;
export const DEFAULT_PICKER = 'static';
