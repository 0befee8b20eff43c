import { invalidRequest } from '@baton/inference';
import { ApiProperty, type ApiPropertyOptions } from '@nestjs/swagger';
import { ValidateBy, type ValidationArguments } from 'class-validator';

/**
 * Checks the value of a field.
 *
 * @param path where it stands in the body, for messages: `messages[0].role`.
 * @param owner the object that it stands in, for fields that depend on others.
 * @throws InferenceError 400 that names `path`.
 */
export type Check = (value: unknown, path: string, owner: object) => void;

interface NamedCheck {
  readonly name: string;
  readonly check: Check;
}

const FIELDS = 'baton:fields';

/** The code of a 400 for a field that is not there. Source: OpenAI API. */
export const MISSING = 'missing_required_parameter';

/** A field that may be missing or null. */
export function OptionalField(check: Check, schema: ApiPropertyOptions): PropertyDecorator {
  return CheckedField(
    (value, path, owner) => {
      if (value !== undefined && value !== null) check(value, path, owner);
    },
    { required: false, ...schema } as ApiPropertyOptions,
  );
}

/** A field that must be there. */
export function RequiredField(check: Check, schema: ApiPropertyOptions): PropertyDecorator {
  return CheckedField(
    (value, path, owner) => {
      if (value === undefined || value === null) {
        throw invalidRequest(`${path} is required.`, path, MISSING);
      }
      check(value, path, owner);
    },
    { required: true, ...schema } as ApiPropertyOptions,
  );
}

/** The names of the fields of `dto`, those of its base classes first. */
export function fieldNames(dto: abstract new () => object): readonly string[] {
  return fieldsOf(dto.prototype as object).map(({ name }) => name);
}

/** Checks `value` against the fields of `dto` without making an instance of it. */
export function checkFields(dto: abstract new () => object, value: object, path: string): void {
  for (const { name, check } of fieldsOf(dto.prototype as object)) {
    check(Reflect.get(value, name), `${path}.${name}`, value);
  }
}

/**
 * A field whose check is also told when it is missing. One decorator for document and validation, so that they
 * cannot differ. The check throws the 400 itself instead of
 * returning false: class-validator's errors have no path below a property unless every object on the way was made
 * an instance, and that costs seconds for a body of millions of values.
 */
export function CheckedField(check: Check, schema: ApiPropertyOptions): PropertyDecorator {
  const validate = ValidateBy({
    name: 'field',
    validator: {
      validate: (value: unknown, context?: ValidationArguments) => {
        check(value, context?.property ?? '', context?.object ?? {});
        return true;
      },
    },
  });
  return (target, property) => {
    const fields: readonly NamedCheck[] = [...fieldsOf(target), { name: String(property), check }];
    Reflect.defineMetadata(FIELDS, fields, target);
    validate(target, property);
    ApiProperty(schema)(target, property);
  };
}

/** With those of the base classes: metadata is looked up along the prototypes. */
function fieldsOf(prototype: object): readonly NamedCheck[] {
  return (Reflect.getMetadata(FIELDS, prototype) ?? []) as readonly NamedCheck[];
}
