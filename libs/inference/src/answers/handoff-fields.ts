import { isJsonObject, type JsonObject } from '../json.js';
import { KV_TRANSFER_PARAMS } from '../kv-transfer-params.js';

/**
 * Where answers carry a KV handoff: vLLM at the top level, TensorRT-LLM (`openai_protocol`) in the choice. It names
 * addresses inside of the deployment and is nothing to a client.
 */
export const HANDOFF_FIELDS = [KV_TRANSFER_PARAMS, 'disaggregated_params'] as const;

/** `answer`, or an event of one, without handoffs. The same object when it has none. */
export function withoutHandoff(answer: JsonObject): JsonObject {
  const stripped = withoutFields(answer);
  const choices: unknown = stripped['choices'];
  if (!Array.isArray(choices)) return stripped;
  const strippedChoices = choices.map((choice: unknown) => (isJsonObject(choice) ? withoutFields(choice) : choice));
  return strippedChoices.every((choice, index) => choice === choices[index])
    ? stripped
    : { ...stripped, choices: strippedChoices };
}

function withoutFields(holder: JsonObject): JsonObject {
  if (!HANDOFF_FIELDS.some((field) => field in holder)) return holder;
  const rest: Record<string, unknown> = { ...holder };
  for (const field of HANDOFF_FIELDS) delete rest[field];
  return rest;
}
