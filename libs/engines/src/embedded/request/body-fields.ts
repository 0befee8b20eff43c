import { invalidRequest, isJsonObject, type JsonObject } from '@baton/inference';

/** The bounds of a number in a request. */
export interface NumberRule {
  readonly min?: number;
  readonly max?: number;
  /** The value must be greater than this. */
  readonly above?: number;
  readonly integer?: boolean;
}

/**
 * Reads the fields of one object of a request. `null` is as good as absent. Each method throws the 400 that names
 * the field by its whole path.
 */
export class BodyFields {
  readonly #body: JsonObject;
  readonly #path: string;

  /** @param path what goes before a field's name in errors, for example `sampling_params.`. */
  constructor(body: JsonObject, path = '') {
    this.#body = body;
    this.#path = path;
  }

  /** The field's whole path. */
  path(key: string): string {
    return this.#path + key;
  }

  has(key: string): boolean {
    return this.value(key) !== undefined;
  }

  value(key: string): unknown {
    return this.#body[key] ?? undefined;
  }

  number(key: string, rule: NumberRule = {}): number | undefined {
    const value = this.value(key);
    if (value === undefined) return undefined;
    const { min = -Infinity, max = Infinity, above = -Infinity, integer = false } = rule;
    const isRight =
      typeof value === 'number' &&
      (integer ? Number.isInteger(value) : Number.isFinite(value)) &&
      value >= min &&
      value <= max &&
      value > above;
    if (!isRight) throw this.#wrong(key, describe(rule));
    return value;
  }

  boolean(key: string): boolean | undefined {
    const value = this.value(key);
    if (value === undefined || typeof value === 'boolean') return value;
    throw this.#wrong(key, 'true or false');
  }

  string(key: string): string | undefined {
    const value = this.value(key);
    if (value === undefined || typeof value === 'string') return value;
    throw this.#wrong(key, 'a string');
  }

  object(key: string): JsonObject | undefined {
    const value = this.value(key);
    if (value === undefined || isJsonObject(value)) return value;
    throw this.#wrong(key, 'a JSON object');
  }

  array(key: string): readonly unknown[] | undefined {
    const value = this.value(key);
    if (value === undefined || Array.isArray(value)) return value;
    throw this.#wrong(key, 'an array');
  }

  /** Refuses a field that this engine cannot do, unless its value asks for nothing. */
  refuse(key: string, why: string, asksForNothing: (value: unknown) => boolean = () => false): void {
    const value = this.value(key);
    if (value === undefined || asksForNothing(value)) return;
    throw invalidRequest(why, this.path(key), 'unsupported_parameter');
  }

  #wrong(key: string, wanted: string) {
    return invalidRequest(`${this.path(key)} must be ${wanted}.`, this.path(key));
  }
}

function describe({ min, max, above, integer }: NumberRule): string {
  const bounds = [
    above === undefined ? undefined : `greater than ${above}`,
    min === undefined ? undefined : `at least ${min}`,
    max === undefined ? undefined : `at most ${max}`,
  ].filter((bound) => bound !== undefined);
  return [integer === true ? 'an integer' : 'a number', bounds.join(' and ')]
    .filter((part) => part !== '')
    .join(' of ')
    .replace('of greater', 'greater');
}
