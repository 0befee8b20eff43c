import type { RunEnd, Running } from '../engine/running.js';
import type { Leg } from '../faults/fault.js';
import type { JsonObject } from '../json.js';
import type { KvContent } from '../ledger/kv-content.js';
import type { IncomingHttpHeaders } from 'node:http';

/** What a request says about the KV transfer. */
export interface KvRequest {
  readonly headers: IncomingHttpHeaders;
  /** `kv_transfer_params`, from wherever the dialect takes them; undefined when there are none. */
  readonly params: JsonObject | undefined;
  /** The whole body, for protocols with fields of their own. */
  readonly body: JsonObject;
  /** The data parallel rank that will run it. */
  readonly rank: number;
  /** Whether the API tells the transfer of requests that it refuses. Default true. */
  readonly tellsRefusals?: boolean;
}

/** What a decode leg got from elsewhere. */
export interface LoadedKv {
  /** The cache; its digest decides what the answer is. */
  readonly content: KvContent;
  /** Tokens that the prefill generated already and the decode leg answers first, without computing them. */
  readonly firstTokens?: readonly number[];
}

/** The part that one request has in a KV transfer. A run calls these in the order in which they stand here. */
export interface KvLeg {
  readonly leg: Leg;
  /** The request never came to run: refused by validation, by admission, by its client leaving the queue. */
  refused?(by: 'validation' | 'admission' | 'client'): void;
  /** Before anything is computed (blocks are allocated): a prefill that must be asked for by its decode waits here. */
  beforePrefill?(run: Running): Promise<void>;
  /**
   * Decode legs: gets the cache. Undefined: there is none, the prompt is computed here.
   *
   * @throws EngineError when the transfer failed and the server's policy is to fail.
   */
  load?(run: Running): Promise<LoadedKv | undefined>;
  /** The prompt is in the blocks of the run, nothing is generated. */
  afterPrefill?(run: Running): Promise<void>;
  /**
   * The last token is generated and nothing of the end is sent. Returns the `kv_transfer_params` of the answer (or
   * what a dialect reads in their place). Blocks that it wants to keep it puts under `handoff` by `run.keep()`;
   * the run frees those that were not kept.
   */
  finished?(run: Running, end: RunEnd): Promise<JsonObject | undefined>;
}

/** A protocol by which KV caches go from one server to another. */
export interface KvTransfer {
  readonly name: string;
  /** Opens its ports. */
  start(): Promise<void>;
  close(): Promise<void>;
  /** What the `ready` message tells about it: ports, engine ids. */
  readonly addresses: JsonObject;
  /** Counters for `GET /sim/state`. */
  readonly counts: JsonObject;
  /** The part of one request, undefined when it is a plain one. Called as soon as the body is parsed. */
  legFor(request: KvRequest): KvLeg | undefined;
}
