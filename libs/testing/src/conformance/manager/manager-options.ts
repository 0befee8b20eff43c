import type { InferenceRequest } from '@baton/inference';
import type { KvConnector } from '@baton/coordination';
import type { TestHostOptions } from '../../host/test-host-options.js';

/** What {@link conformManager} is told of a manager. Everything is optional. */
export interface ManagerConformanceOptions {
  /**
   * A new request that the manager takes, each time. Default: a short chat that is streamed. It is asked for the stream and
   * for the whole answer, so leave `stream` as it is said.
   */
  readonly request?: (stream: boolean) => InferenceRequest;
  /** More requests that it declines, or runs on this instance as they are. Default: legs of others, which every manager gets. */
  readonly declines?: readonly (() => InferenceRequest)[];
  /** The protocols under which it is checked. Default: one in which P is first, and one in which P and D run at once. */
  readonly connectors?: readonly (() => KvConnector)[];
  /** The host: its pools, whether it runs legs itself, the options of a plugin, more providers. */
  readonly host?: TestHostOptions;
  /**
   * How long after a client has left, or an answer has failed, everything must be given back, in ms. Default: what the
   * options of the host give a transfer, an abandoned prefill and a release.
   */
  readonly boundMs?: number;
}
