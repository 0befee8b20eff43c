import { invalidRequest, isJsonObject, type JsonObject } from '@baton/inference';
import { plainToInstance } from 'class-transformer';
import { validateSync, type ValidationError } from 'class-validator';

/** A class whose properties carry class-validator's decorators. */
export type BodyClass = new () => object;

/**
 * Checks `body` against the decorators of `bodyClass`. Unknown fields are allowed: they belong to the engine.
 *
 * @throws InferenceError 400 whose `param` is the path of the first field at fault (`messages[0].role`).
 */
export function validateBody(bodyClass: BodyClass, body: unknown): asserts body is JsonObject {
  if (!isJsonObject(body)) throw invalidRequest('The request body must be a JSON object.', null);
  const [error] = validateSync(toInstance(bodyClass, body), { forbidUnknownValues: false, stopAtFirstError: true });
  if (error !== undefined) throw toInferenceError(error);
}

/** Long lists of numbers (token ids) keep their identity: copying millions of them would block the event loop. */
function toInstance(bodyClass: BodyClass, body: JsonObject): object {
  const fields = Object.entries(body);
  const lists = fields.filter(([, value]) => Array.isArray(value) && typeof value[0] === 'number');
  const rest = fields.filter(([, value]) => !(Array.isArray(value) && typeof value[0] === 'number'));
  return Object.assign(plainToInstance(bodyClass, Object.fromEntries(rest)), Object.fromEntries(lists));
}

function toInferenceError(error: ValidationError, parent = ''): Error {
  const path = /^\d+$/.test(error.property) ? `${parent}[${error.property}]` : [parent, error.property].filter(Boolean).join('.');
  const [child] = error.children ?? [];
  if (child !== undefined) return toInferenceError(child, path);
  const [message] = Object.values(error.constraints ?? {});
  return invalidRequest(message === undefined ? `${path} is invalid.` : `${path}: ${message}`, path);
}
