import { choiceCount, type InferenceRequest } from '@baton/inference';
import type { DisaggregateWhen } from './manager-settings.js';
import type { PromptSize } from './prompt-size.js';

/** Whether all of `when` holds of `request`. What costs most, the size of the prompt, is asked last. */
export function holds(when: DisaggregateWhen, request: InferenceRequest, size: PromptSize): boolean {
  const { apis, models, maxChoices, header, minPromptTokens, minPromptBytes } = when;
  const { model } = request.body;
  return (
    (apis === undefined || apis.includes(request.api)) &&
    (models === undefined || (typeof model === 'string' && models.includes(model))) &&
    (maxChoices === undefined || choiceCount(request) <= maxChoices) &&
    (header === undefined || hasHeader(request, header)) &&
    (minPromptTokens === undefined || size.tokens >= minPromptTokens) &&
    (minPromptBytes === undefined || size.bytes >= minPromptBytes)
  );
}

function hasHeader(
  { clientHeaders }: InferenceRequest,
  { name, value }: NonNullable<DisaggregateWhen['header']>,
): boolean {
  const sent = clientHeaders[name.toLowerCase()];
  if (sent === undefined) return false;
  return value === undefined || (typeof sent === 'string' ? sent === value : sent.includes(value));
}
