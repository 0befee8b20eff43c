import { getSchemaPath, type ApiPropertyOptions } from '@nestjs/swagger';
import { all, isBoolean, isNumber, isObject, isObjectOf, isOneOf, isText, type NumberBounds } from './checks.js';
import { OptionalField, RequiredField, type Check } from './field.js';
import { isTokenIds } from './token-ids.js';

/** What the document says of a field besides its type. */
export interface FieldDocs {
  readonly description: string;
  readonly example?: unknown;
  readonly default?: unknown;
}

/** Optional, and may be null, as OpenAI's API has it. */
export function NumberField(bounds: NumberBounds, docs: FieldDocs): PropertyDecorator {
  const { integer = false, min, max, above } = bounds;
  return OptionalField(isNumber(bounds), {
    type: integer ? 'integer' : 'number',
    nullable: true,
    ...defined({ minimum: above ?? min, maximum: max }),
    ...(above === undefined ? {} : { exclusiveMinimum: true }),
    ...docs,
  });
}

export function BooleanField(docs: FieldDocs, check: Check = isBoolean): PropertyDecorator {
  return OptionalField(check, { type: 'boolean', nullable: true, ...docs });
}

export function TextField(docs: FieldDocs): PropertyDecorator {
  return OptionalField(isText, { type: 'string', nullable: true, ...docs });
}

export function ChoiceField(words: readonly string[], docs: FieldDocs): PropertyDecorator {
  return OptionalField(isOneOf(words), { type: 'string', enum: [...words], nullable: true, ...docs });
}

/** An object whose fields are not looked at. */
export function ObjectField(docs: FieldDocs): PropertyDecorator {
  return OptionalField(isObject, { type: 'object', additionalProperties: true, nullable: true, ...docs });
}

/** An object with the fields of `dto`; `also` is checked after them. */
export function NestedField(dto: new () => object, docs: FieldDocs & { readonly also?: Check }): PropertyDecorator {
  const { also = () => undefined, ...rest } = docs;
  return OptionalField(all(isObjectOf(dto), also), nested(dto, rest));
}

export function RequiredNestedField(
  dto: new () => object,
  docs: FieldDocs & { readonly also?: Check },
): PropertyDecorator {
  const { also = () => undefined, ...rest } = docs;
  return RequiredField(all(isObjectOf(dto), also), { allOf: [{ $ref: getSchemaPath(dto) }], ...rest });
}

/** A list of token ids. */
export function TokenIdsField(docs: FieldDocs): PropertyDecorator {
  return OptionalField(isTokenIds, { type: 'array', items: TOKEN_ID, nullable: true, ...docs });
}

/** The schema of a token id. */
export const TOKEN_ID = { type: 'integer', minimum: 0 };

function nested(dto: new () => object, docs: FieldDocs): ApiPropertyOptions {
  return { allOf: [{ $ref: getSchemaPath(dto) }], nullable: true, ...docs };
}

function defined(values: Readonly<Record<string, number | undefined>>): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(values).filter((entry): entry is [string, number] => entry[1] !== undefined),
  );
}
