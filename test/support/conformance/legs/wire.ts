import type { SplitManager } from '../../deployment.js';
import type { SimulatorFlags, SimulatorProcess } from '../../simulator-process.js';
import type { Case, Tokenizer } from '../cases.js';
import type { Json } from '../json.js';

/** A leg as an engine got it: an entry of the simulator's `GET /sim/requests`. */
export interface SeenLeg {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Json;
  readonly outcome: string;
  readonly status: number;
  readonly finishReasons: readonly string[];
  /** The `kv_transfer_params` (or what a protocol has in their place) of its answer. */
  readonly handedOver?: Json;
}

/** What is known of a request and its legs before the legs are looked at. */
export interface Exchange {
  readonly request: Case;
  readonly prefill: SeenLeg;
  readonly decode: SeenLeg | undefined;
  readonly sides: { readonly prefill: SimulatorProcess; readonly decode: SimulatorProcess };
  readonly texts: Texts;
}

/** An engine server's tokenizer. */
export interface Texts extends Tokenizer {
  detokenize(ids: readonly number[]): Promise<string>;
  /** Of the prompt that a chat request becomes. */
  tokenizeChat(body: Json): Promise<readonly number[]>;
}

/** What a leg must be. */
export interface ExpectedLeg {
  readonly path: string;
  readonly body: Json;
  /** Besides those of every leg. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** What becomes of the handoff of a request. Undefined: its protocol has none that is owed to P. */
export type Settled = 'taken' | 'freed' | undefined;

/**
 * What one KV transfer protocol has on the wire, written from the reference (`engine-protocols.md`) and from nothing of
 * Baton's own code.
 */
export interface Wire {
  /** Whether P's answer is the client's whole answer, so that D gets nothing for it. */
  answersByPrefill(request: Case): boolean;
  settles(request: Case): Settled;
  /** How many legs D gets. */
  decodes(request: Case): number;
  prefill(exchange: Exchange): ExpectedLeg | Promise<ExpectedLeg>;
  decode(exchange: Exchange): ExpectedLeg | Promise<ExpectedLeg>;
  /** What must be true of the ids that were made for this request. One line for each that is not. */
  ids(exchange: Exchange): string[];
  /** More flags of P. */
  flags?(manager: SplitManager): SimulatorFlags;
  /** What P and D are told to do besides: fields that they hand over and nobody here knows. */
  readonly faults?: readonly unknown[];
  /** Blocks that D's cache may still hold, since nobody asks for them any more. */
  readonly leavesInCache?: boolean;
}
