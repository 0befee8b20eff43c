import type { InferenceRequest, JsonObject } from '@baton/inference';
import { applyDecorators, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Observable } from 'rxjs';

/** The KV cache that a prefill left behind, as P described it. */
export interface HandoffDescriptor {
  /** P's `kv_transfer_params`, verbatim: fields that nobody here knows survive to D. */
  readonly params: JsonObject;
}

/** What became of the KV of a handoff: freed for sure, or not known (its lease ends by itself). */
export type ReleaseOutcome = 'freed' | 'unknown';

/**
 * The wire contract of one KV transfer protocol: how a request becomes its two legs, what P's answer says, and
 * what frees the KV when nobody takes it. Knows nothing of policies (managers) or of endpoints (pickers).
 */
export interface KvConnector {
  /** The leg that P runs: reads the prompt, leaves the KV cache behind. */
  prefillLeg(request: InferenceRequest): InferenceRequest;
  /** What P's answer hands over; undefined when it handed over nothing, so that D runs a plain request. */
  handoffOf(answer: JsonObject): HandoffDescriptor | undefined;
  /** The leg that D runs: the client's own request, plus where its KV is. */
  decodeLeg(request: InferenceRequest, handoff: HandoffDescriptor | undefined): InferenceRequest;
  /** Frees the KV of a handoff that no decode took. Cold; idempotent; the ledger bounds its time. */
  release(handoff: HandoffDescriptor): Observable<ReleaseOutcome>;
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
