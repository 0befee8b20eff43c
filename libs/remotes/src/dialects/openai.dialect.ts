import { API_PATHS, type InferenceRequest } from '@baton/inference';
import type { Dialect, DialectCall } from './dialect.js';

/** The call of a server that takes the field's requests as they are. */
export function openAiCall(leg: InferenceRequest): DialectCall {
  return { path: API_PATHS[leg.api], body: leg.body };
}

/**
 * Any server of the OpenAI protocol, and other Baton instances: those have the token endpoint, and render, as well. A server
 * without them says so itself.
 */
export const openAiDialect: Dialect = {
  name: 'openai',
  call: openAiCall,
  abort: () => undefined,
  healthPath: '/v1/models',
  renders: true,
};
