import type { InferenceRequest } from '@baton/inference';
import { Injectable, applyDecorators } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Observable } from 'rxjs';
import type { Endpoint } from '../endpoint.js';

/** Chooses the remote endpoint for a leg. Picking is synchronous in intent: it happens between prefill and decode. */
export interface EndpointPicker {
  /**
   * A resource: emits one of `endpoints` and holds it (in-flight counts, reservations) until unsubscribed.
   * Fails with a `RemoteUnavailableError` when there is none to give.
   */
  pick(request: InferenceRequest, endpoints: readonly Endpoint[]): Observable<Endpoint>;
}

/** What a picker is registered under. */
export interface EndpointPickerOptions {
  /** The name that a configuration selects it by. */
  readonly name: string;
}

/** A fixed key, so that a plugin's own copy of this package is found as well. */
export const EndpointPickerMetadata = Reflector.createDecorator<EndpointPickerOptions>({
  key: 'baton:endpoint-picker',
});

/** Registers a provider as an endpoint picker. */
export const NamedEndpointPicker = (options: EndpointPickerOptions): ClassDecorator =>
  applyDecorators(EndpointPickerMetadata(options), Injectable());
