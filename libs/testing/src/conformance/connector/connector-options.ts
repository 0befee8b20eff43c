import type { InferenceApi, InferenceRequest, JsonObject } from '@baton/inference';
import type { TestHostOptions } from '../../host/test-host-options.js';

/** What {@link conformConnector} is told of a connector. Everything is optional. */
export interface ConnectorConformanceOptions {
  /**
   * What a P of this protocol answers to a prefill leg when it has left KV behind. Default: an answer of one token whose
   * `kv_transfer_params` are those of the leg, with `do_remote_prefill`.
   */
  readonly prefillAnswer?: (leg: InferenceRequest) => JsonObject;
  /** What a P of another protocol answers. Default: `kv_transfer_params` that name a connector nobody has. */
  readonly foreignAnswer?: JsonObject;
  /** The apis that the protocol is for. Default: all three. */
  readonly apis?: readonly InferenceApi[];
  /** Fields of the client's body that D's leg may have otherwise. Default: none but those of the handoff, `echo` and `prompt_logprobs`. */
  readonly decodeEdits?: readonly string[];
  /** What a side channel or an engine answers to a call that is no leg. Default: an empty object, and 404 for what is released twice. */
  readonly host?: TestHostOptions;
  /** How long after a client has left everything must be given back, in ms. Default: as for a manager. */
  readonly boundMs?: number;
}
