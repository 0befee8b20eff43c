import { inferenceRequest, type InferenceRequest } from '@baton/inference';
import { parseEndpoint, type Endpoint } from '@baton/remotes';
import type { Subscription } from 'rxjs';
import { SessionAffinityOptions } from './session-affinity.options.js';
import { SessionAffinityPicker } from './session-affinity.picker.js';

export const endpointsOf = (count: number): readonly Endpoint[] =>
  Array.from({ length: count }, (_, index) => parseEndpoint(`http://10.0.0.${index + 1}:8000`));

export const optionsOf = (options: Partial<SessionAffinityOptions> = {}): SessionAffinityOptions =>
  Object.assign(new SessionAffinityOptions(), options);

export const pickerOf = (options?: Partial<SessionAffinityOptions>): SessionAffinityPicker =>
  new SessionAffinityPicker(optionsOf(options));

export const ofSession = (session: string | readonly string[]): InferenceRequest =>
  inferenceRequest('chat', {}, { clientHeaders: { 'x-session-id': session } });

export const ofPrompt = (prompt: unknown): InferenceRequest => inferenceRequest('completions', { prompt });

/** A pick that is held. */
export interface Held {
  readonly endpoint: Endpoint;
  readonly hold: Subscription;
}

export function held(picker: SessionAffinityPicker, request: InferenceRequest, endpoints: readonly Endpoint[]): Held {
  let endpoint: Endpoint | undefined;
  const hold = picker.pick(request, endpoints).subscribe((picked) => (endpoint = picked));
  if (endpoint === undefined) throw new Error('A pick is made at once.');
  return { endpoint, hold };
}

/** Where a request goes while nothing else is under way. */
export function homeOf(
  picker: SessionAffinityPicker,
  request: InferenceRequest,
  endpoints: readonly Endpoint[],
): Endpoint {
  const { endpoint, hold } = held(picker, request, endpoints);
  hold.unsubscribe();
  return endpoint;
}
