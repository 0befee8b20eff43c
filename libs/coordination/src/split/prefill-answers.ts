import { endsWithPrefill, isJsonObject, type InferenceRequest, type JsonObject } from '@baton/inference';

/** Whether P's answer is all that the client asked for: its first token was the last, and nothing was left out of it. */
export function prefillAnswers(request: InferenceRequest, answer: JsonObject): boolean {
  return endsWithPrefill(request, answer) && (!asksForLogprobs(request) || hasLogprobs(answer));
}

function asksForLogprobs({ api, body }: InferenceRequest): boolean {
  const holder = api === 'generate' ? body['sampling_params'] : body;
  const asked = isJsonObject(holder) ? holder['logprobs'] : undefined;
  return asked === true || typeof asked === 'number';
}

function hasLogprobs(answer: JsonObject): boolean {
  const choices: readonly unknown[] = Array.isArray(answer['choices']) ? answer['choices'] : [];
  return choices.every((choice) => isJsonObject(choice) && isJsonObject(choice['logprobs']));
}
