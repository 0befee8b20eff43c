import { invalidRequest, isJsonObject, RawJson, type JsonObject } from '@baton/inference';
import { plainToInstance } from 'class-transformer';
import { getMetadataStorage, validateSync, ValidationTypes, type ValidationError } from 'class-validator';

/** A class whose properties carry class-validator's decorators. */
export type BodyClass = new () => object;

/**
 * Checks `body` against the decorators of `bodyClass`. Unknown fields are allowed: they belong to the engine.
 *
 * @throws InferenceError 400 whose `param` is the path of the first field at fault (`messages[0].role`).
 */
export function validateBody(bodyClass: BodyClass, body: unknown): asserts body is JsonObject {
  if (!isJsonObject(body)) throw invalidRequest('The request body must be a JSON object.', null);
  if (firstError(shallowInstance(bodyClass, body)) === undefined) return;
  // Decorators such as `@Type(() => Number)` may still make it valid: only a whole conversion can refuse it.
  const error = firstError(wholeInstance(bodyClass, body));
  if (error !== undefined) throw toInferenceError(error);
}

/** The body as an instance, every value converted but what is kept as its bytes: a copy would be without them. */
function wholeInstance(bodyClass: BodyClass, body: JsonObject): object {
  const fields = Object.entries(body);
  const plain = fields.filter(([, value]) => !(value instanceof RawJson));
  const kept = fields.filter(([, value]) => value instanceof RawJson);
  return Object.assign(plainToInstance(bodyClass, Object.fromEntries(plain)), Object.fromEntries(kept));
}

function firstError(instance: object): ValidationError | undefined {
  return validateSync(instance, { forbidUnknownValues: false, stopAtFirstError: true })[0];
}

/**
 * The body as an instance, with instances below only where a nested validation needs them: converting every value of
 * a body of millions of token ids would block the event loop for seconds.
 */
function shallowInstance(bodyClass: BodyClass, body: JsonObject): object {
  // class-validator asks an object's `constructor` for its rules: a field of that name would choose them.
  const { constructor: _, ...fields } = body;
  const instance = Object.assign(new bodyClass(), fields);
  const nested = Object.entries(body).filter(([field]) => nestedFields(bodyClass).has(field));
  if (nested.length === 0) return instance;
  const converted: object = plainToInstance(bodyClass, Object.fromEntries(nested));
  return Object.assign(instance, Object.fromEntries(nested.map(([field]) => [field, Reflect.get(converted, field)])));
}

const nestedByClass = new WeakMap<BodyClass, ReadonlySet<string>>();

/** The fields that carry `@ValidateNested()`. */
function nestedFields(bodyClass: BodyClass): ReadonlySet<string> {
  const known = nestedByClass.get(bodyClass);
  if (known !== undefined) return known;
  const fields = getMetadataStorage()
    .getTargetValidationMetadatas(bodyClass, '', false, false)
    .filter(({ type }) => type === ValidationTypes.NESTED_VALIDATION)
    .map(({ propertyName }) => propertyName);
  nestedByClass.set(bodyClass, new Set(fields));
  return new Set(fields);
}

function toInferenceError(error: ValidationError, parent = ''): Error {
  const path = /^\d+$/.test(error.property)
    ? `${parent}[${error.property}]`
    : [parent, error.property].filter(Boolean).join('.');
  const [child] = error.children ?? [];
  if (child !== undefined) return toInferenceError(child, path);
  const [message] = Object.values(error.constraints ?? {});
  return invalidRequest(message === undefined ? `${path} is invalid.` : `${path}: ${message}`, path);
}
