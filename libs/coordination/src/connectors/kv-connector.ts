import type { InferenceRequest, JsonObject, PrefillShare } from '@baton/inference';
import type { LegSite } from '@baton/remotes';
import { applyDecorators, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Observable } from 'rxjs';
import type { CancellationPlan } from './cancellation.js';

/** The KV cache that a prefill leaves (or will leave) for a decode. */
export interface HandoffDescriptor {
  /** What goes to D verbatim: fields that nobody here knows survive. */
  readonly params: JsonObject;
  /** What else the connector needs for D's leg; never sent as it is. */
  readonly notes?: JsonObject;
  /** How long P keeps it, where P's answer says so; else as in {@link KvContract.leaseMs}. */
  readonly leaseMs?: number;
}

/** What became of the KV of a handoff: freed for sure, held until its lease ends for sure, or not known. */
export type ReleaseOutcome = 'freed' | 'held' | 'unknown';

/** How a protocol behaves, so that nobody has to ask for its name. */
export interface KvContract {
  /** `serial`: D's leg needs P's answer. `concurrent`: P and D wait for each other, so both are sent at once. */
  readonly order: 'serial' | 'concurrent';
  /** When D is chosen: after P has answered, or before P is sent because P has to be told D's address. */
  readonly decoder: 'deferred' | 'first';
  /** Whether P's answer may be the client's: its first token ended it, and nothing is left waiting for a D. */
  readonly prefillMayAnswer: boolean;
  /** Who owns the KV in each phase, and what frees it when the client leaves then. The ledger carries it out. */
  readonly cancellation: CancellationPlan;
  /**
   * How long P keeps the KV that nobody takes, by default of its engine, in ms. Undefined: P keeps none, or until it needs
   * the room.
   */
  readonly leaseMs?: number;
}

/** The two sides of a request, as far as they are chosen. */
export interface LegSites {
  readonly prefill: LegSite;
  /** Undefined when the contract defers the choice of D. */
  readonly decode: LegSite | undefined;
}

/** What a release may use. */
export interface ReleaseMeans {
  /** The client's request. */
  readonly request: InferenceRequest;
  /** Where P has answered; undefined while nobody knows. */
  readonly prefill?: LegSite;
  /** Runs a leg on a decode instance. */
  decode(leg: InferenceRequest): Observable<unknown>;
}

/**
 * The wire contract of one KV transfer protocol: how a request becomes its two legs, what P's answer says, and
 * what frees the KV when nobody takes it. Knows nothing of policies (managers) or of endpoints (pickers).
 */
export interface KvConnector {
  readonly contract: KvContract;
  /**
   * What both legs must agree on before either is sent: an id, P's address. Emits once. Left out by protocols in
   * which P says it all.
   */
  rendezvous?(request: InferenceRequest, sites: LegSites): Observable<JsonObject>;
  /**
   * The same, but nobody is asked and nothing is begun: what only others know, or is made anew for each request, may be a
   * placeholder in brackets. For explanations, which run nothing. Left out: they show the legs without it.
   */
  sketch?(request: InferenceRequest, sites: LegSites): JsonObject;
  /** The leg that P runs: reads the prompt, leaves the KV cache behind. */
  prefillLeg(request: InferenceRequest, agreed: JsonObject): InferenceRequest;
  /**
   * What is handed over: read from P's `answer`, or, when the order is concurrent (`answer` is undefined), from what
   * was agreed. Undefined when P handed over nothing, so that D runs a plain request.
   *
   * @throws InferenceError 502 `connector_mismatch` when the answer is another protocol's.
   */
  handoffOf(answer: JsonObject | undefined, agreed: JsonObject): HandoffDescriptor | undefined;
  /** The leg that D runs: the client's own request, plus where its KV is. */
  decodeLeg(request: InferenceRequest, handoff: HandoffDescriptor | undefined): InferenceRequest;
  /** What of P's answer belongs in the client's. Default: its usage, its echo and its prompt logprobs. */
  shareOf?(request: InferenceRequest, answer: JsonObject): PrefillShare;
  /**
   * Fails with a 502 `connector_mismatch` when what runs at `site` cannot take this protocol's handoffs; else
   * completes. Asked before D is sent. Left out where nothing can be asked.
   */
  assertTakes?(site: LegSite): Observable<never>;
  /** The leg that finishes a request on P itself when no D could. Default: the client's request without a handoff. */
  rescueLeg?(request: InferenceRequest, handoff: HandoffDescriptor | undefined): InferenceRequest;
  /** Frees the KV of a handoff that no decode took. Cold; idempotent; the ledger bounds its time. */
  release(handoff: HandoffDescriptor, means: ReleaseMeans): Observable<ReleaseOutcome>;
}

/** What a connector is registered under. */
export interface KvConnectorOptions {
  /** The name that a configuration selects it by. */
  readonly name: string;
}

/** A fixed key, so that a plugin's own copy of this package is found as well. */
export const KvConnectorMetadata = Reflector.createDecorator<KvConnectorOptions>({ key: 'baton:kv-connector' });

/** Registers a provider as a KV connector. */
export const NamedKvConnector = (options: KvConnectorOptions): ClassDecorator =>
  applyDecorators(KvConnectorMetadata(options), Injectable());
