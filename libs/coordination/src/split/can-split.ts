import { choiceCount, isJsonObject, type InferenceRequest } from '@baton/inference';

/**
 * Whether a request is one sequence with something to decode, and nobody else coordinates it. A KV handoff describes one
 * sequence, so several choices, several prompts and beams run on one instance; so does a request for no token at all
 * (an echo, for the prompt's own log probabilities).
 */
export function canSplit(request: InferenceRequest): boolean {
  const holder = request.api === 'generate' ? request.body['sampling_params'] : request.body;
  const { max_tokens: maxTokens, best_of: bestOf, use_beam_search: beams } = isJsonObject(holder) ? holder : {};
  const isOneSequence = choiceCount(request) === 1 && (typeof bestOf !== 'number' || bestOf <= 1) && beams !== true;
  return !request.isLeg && isOneSequence && maxTokens !== 0;
}
