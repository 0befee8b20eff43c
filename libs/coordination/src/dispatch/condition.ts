import { choiceCount, type InferenceRequest } from '@baton/inference';
import type { DisaggregateWhen } from './manager-settings.js';
import type { PromptSize } from './prompt-size.js';

/** Whether all of `when` holds of `request`. */
export function holds(when: DisaggregateWhen, request: InferenceRequest, size: PromptSize): boolean {
  return unmet(when, request, size) === undefined;
}

/** The part of `when` that does not hold of `request`. What costs most, the size of the prompt, is asked last. */
export function unmet(
  when: DisaggregateWhen,
  request: InferenceRequest,
  size: PromptSize,
): keyof DisaggregateWhen | undefined {
  const { apis, models, maxChoices, header, minPromptTokens, minPromptBytes } = when;
  const { model } = request.body;
  if (apis !== undefined && !apis.includes(request.api)) return 'apis';
  if (models !== undefined && !(typeof model === 'string' && models.includes(model))) return 'models';
  if (maxChoices !== undefined && !(choiceCount(request) <= maxChoices)) return 'maxChoices';
  if (header !== undefined && !hasHeader(request, header)) return 'header';
  if (minPromptTokens !== undefined && !(size.tokens >= minPromptTokens)) return 'minPromptTokens';
  if (minPromptBytes !== undefined && !(size.bytes >= minPromptBytes)) return 'minPromptBytes';
  return undefined;
}

function hasHeader(
  { clientHeaders }: InferenceRequest,
  { name, value }: NonNullable<DisaggregateWhen['header']>,
): boolean {
  const sent = clientHeaders[name.toLowerCase()];
  if (sent === undefined) return false;
  return value === undefined || (typeof sent === 'string' ? sent === value : sent.includes(value));
}
