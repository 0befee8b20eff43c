import type { JsonObject } from '../json.js';

/** What a request is in a pair of legs. */
export type Leg = 'prefill' | 'decode' | 'none';

/** How an error body looks: vLLM's, that of older servers, a text, HTML, nothing, broken JSON. */
export type ErrorShape = 'nested' | 'flat' | 'text' | 'html' | 'empty' | 'broken' | 'string-code' | 'dialect';

/** Where a `hang` or a `slow` request stops. */
export type HangPoint = 'head' | 'queue' | 'prefill' | 'load' | 'token' | 'done';

/** The misbehaviours. Counts of tokens are those of the whole answer, `afterTokens` 0 is before the first. */
export type Misbehaviour =
  // What a prefill hands over.
  | { readonly kind: 'null_params' }
  | { readonly kind: 'drop_param_keys'; readonly keys: readonly string[] }
  | { readonly kind: 'extra_params'; readonly params: JsonObject }
  | { readonly kind: 'ignore_top_level_params' }
  | { readonly kind: 'ignore_extra_args_params' }
  | { readonly kind: 'eos_first' }
  | { readonly kind: 'lease_expired' }
  | { readonly kind: 'kv_load_failure' }
  | { readonly kind: 'missing_first_token' }
  // The HTTP answer.
  | {
      readonly kind: 'http_status';
      readonly status: number;
      readonly shape?: ErrorShape;
      readonly message?: string;
      readonly headers?: Record<string, string>;
    }
  | { readonly kind: 'admission_503' }
  | { readonly kind: 'reset'; readonly afterTokens?: number; readonly at?: 'head' }
  | { readonly kind: 'cut'; readonly afterTokens?: number }
  | { readonly kind: 'malformed_json' }
  // The event stream.
  | { readonly kind: 'done_only' }
  | { readonly kind: 'no_finish_reason' }
  | { readonly kind: 'abort_terminal'; readonly afterTokens?: number }
  | {
      readonly kind: 'error_frame';
      readonly afterTokens?: number;
      readonly shape?: ErrorShape;
      readonly status?: number;
      readonly message?: string;
      readonly done?: boolean;
    }
  | { readonly kind: 'malformed_event'; readonly afterTokens?: number }
  | { readonly kind: 'sse_comments'; readonly every?: number }
  | {
      readonly kind: 'sse_framing';
      readonly newline?: 'lf' | 'crlf' | 'cr';
      readonly space?: boolean;
      readonly multiline?: boolean;
      readonly chunkBytes?: number;
      readonly eventLines?: boolean;
    }
  // Time. What hangs goes on when its fault is no longer set, or its request is over.
  | { readonly kind: 'hang'; readonly at: HangPoint; readonly afterTokens?: number }
  | { readonly kind: 'slow'; readonly at: HangPoint; readonly ms: number }
  | { readonly kind: 'ignore_disconnect' }
  | { readonly kind: 'health_503' };

export type FaultKind = Misbehaviour['kind'];

/** Which requests a misbehaviour befalls. */
export interface FaultScope {
  /** Default: any leg. */
  readonly where?: 'prefill' | 'decode' | 'none' | 'any';
  /** Only requests whose path contains this. */
  readonly path?: string;
  /** Only requests whose `x-request-id` contains this. */
  readonly requestId?: string;
  /** How many requests it befalls; default: all. */
  readonly times?: number;
  /** How many requests it passes by first. */
  readonly skip?: number;
  /** Befalls a request with this probability; the same `seed` gives the same requests. */
  readonly probability?: number;
  readonly seed?: number;
}

export type Fault = Misbehaviour & FaultScope;
export type FaultOf<K extends FaultKind> = Extract<Misbehaviour, { kind: K }>;
