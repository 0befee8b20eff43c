import type { IncomingHttpHeaders } from 'node:http';
import type { Fault, FaultKind, FaultOf, Leg } from '../faults/fault.js';
import type { JsonObject } from '../json.js';

/** How far a request has come. */
export type Phase = 'received' | 'queued' | 'loading' | 'prefill' | 'decode' | 'finished';

/** `complete`: the whole answer went out; `aborted`: its client left; `stopped`: by an abort call; `faulted`: a fault cut it. */
export type Outcome = 'open' | 'complete' | 'aborted' | 'stopped' | 'refused' | 'failed' | 'faulted';

/** An inference request that the simulator was sent, and what became of it: an entry of `GET /sim/requests`. */
export interface RequestRecord {
  readonly seq: number;
  readonly atMs: number;
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** As it came; `{ omittedBytes }` when it was too large to be kept. */
  readonly body: JsonObject;
  readonly api: string;
  readonly leg: Leg;
  readonly faults: readonly Fault[];
  /** The ids that the engine runs it under. */
  readonly legIds: string[];
  phase: Phase;
  /** When it first came into a phase, by `Date.now()`. */
  readonly enteredAtMs: Partial<Record<Phase, number>>;
  outcome: Outcome;
  status: number;
  promptTokens: number;
  cachedTokens: number;
  /** Generated so far. */
  tokens: number;
  finishReasons: (string | null)[];
  rank: number;
  /** What its answer handed over. */
  handedOver?: JsonObject;
  /** The client closed its connection while the request was in this phase. */
  leftIn?: Phase;
  /** When the client closed its connection, and how many tokens there were then: what came after was for nobody. */
  leftAtMs?: number;
  leftAfterTokens?: number;
  endedAtMs?: number;
}

/** The request comes into a phase. */
export function enter(record: RequestRecord, phase: Phase): void {
  record.phase = phase;
  record.enteredAtMs[phase] ??= Date.now();
}

/** The client has closed its connection. */
export function leave(record: RequestRecord): void {
  record.leftIn ??= record.phase;
  record.leftAtMs ??= Date.now();
  record.leftAfterTokens ??= record.tokens;
}

/** The fault of a kind that befalls the request. */
export const faultOf = <K extends FaultKind>(record: RequestRecord, kind: K): (FaultOf<K> & Fault) | undefined =>
  record.faults.find((fault): fault is FaultOf<K> & Fault => fault.kind === kind);
