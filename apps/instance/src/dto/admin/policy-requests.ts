import type { InferenceApi } from '@baton/inference';
import { ApiExtraModels, getSchemaPath } from '@nestjs/swagger';
import { isNumber, isOneOf, isText, refuse } from '../fields/checks.js';
import { BooleanField, NumberField } from '../fields/decorators.js';
import { OptionalField, RequiredField, type Check } from '../fields/field.js';
import { isListOf, isOnly } from '../fields/strict.js';

const APIS: readonly InferenceApi[] = ['completions', 'chat', 'generate'];
const MAX_MANAGERS = 256;
const MAX_MODELS = 256;
const MAX_TEXT = 500;
/** Source: RFC 9110 5.6.2, token. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~\w-]{1,128}$/;

const isShort: Check = (value, path) => {
  if (typeof value !== 'string' || value.length > MAX_TEXT)
    refuse(path, `must be a text of at most ${MAX_TEXT} characters`);
};
const isName: Check = (value, path) => {
  if (typeof value !== 'string' || value === '' || value.length > MAX_TEXT) refuse(path, 'must be a name');
};
const isHeaderName: Check = (value, path) => {
  if (typeof value !== 'string' || !HEADER_NAME.test(value)) refuse(path, 'must be the name of a header');
};

const RESETS = 'Null resets it to what the manager and the configuration say.';
const POSITIVE = { integer: true, min: 1 };

/** A header that the client sent. */
export class HeaderCondition {
  @RequiredField(isHeaderName, { type: 'string', description: 'Its name.', example: 'x-tenant' })
  name!: string;

  @OptionalField(isText, { type: 'string', nullable: true, description: 'Its value; left out for any.' })
  value?: string;
}

/** What has to hold of a request for a manager to be asked. */
@ApiExtraModels(HeaderCondition)
export class DisaggregateWhenFields {
  @NumberField(POSITIVE, { description: 'Least tokens of the prompt.' })
  minPromptTokens?: number;

  @NumberField(POSITIVE, { description: 'Least bytes of the text of the prompt.' })
  minPromptBytes?: number;

  @OptionalField(isListOf(isOneOf(APIS), APIS.length), {
    type: 'array',
    nullable: true,
    items: { type: 'string', enum: [...APIS] },
    description: 'Protocols.',
  })
  apis?: InferenceApi[];

  @OptionalField(isListOf(isName, MAX_MODELS), {
    type: 'array',
    nullable: true,
    items: { type: 'string' },
    description: 'Names of models.',
  })
  models?: string[];

  @NumberField(POSITIVE, { description: 'Most answers to the prompt (n).' })
  maxChoices?: number;

  @OptionalField(isOnly(HeaderCondition), {
    allOf: [{ $ref: getSchemaPath(HeaderCondition) }],
    nullable: true,
    description: 'A header that the client sent.',
  })
  header?: HeaderCondition;
}

/** A change of one manager. What is left out stays. */
@ApiExtraModels(DisaggregateWhenFields)
export class ManagerChange {
  @RequiredField(isName, { type: 'string', description: 'The name of the manager.', example: 'local' })
  name!: string;

  @BooleanField({ description: `Whether it is asked. ${RESETS}` })
  enabled?: boolean | null;

  @NumberField({ integer: true }, { description: `A lower number is asked first. ${RESETS}` })
  priority?: number | null;

  @OptionalField(isOnly(DisaggregateWhenFields), {
    allOf: [{ $ref: getSchemaPath(DisaggregateWhenFields) }],
    nullable: true,
    description: `The requests that it is asked for. ${RESETS}`,
  })
  disaggregateWhen?: DisaggregateWhenFields | null;

  @NumberField({ min: 0, max: 100 }, { description: `Share of those that it is asked for, in percent. ${RESETS}` })
  canaryPercent?: number | null;

  @OptionalField(isHeaderName, {
    type: 'string',
    nullable: true,
    description: `The header whose values are counted to that share or not; else each request is. ${RESETS}`,
  })
  canaryHeader?: string | null;

  @BooleanField({ description: `Whether it is asked and written down only, and the next one answers. ${RESETS}` })
  shadow?: boolean | null;
}

const REASON = {
  type: 'string',
  nullable: true,
  maxLength: MAX_TEXT,
  description: 'For the history: why.',
} as const;

/** Body of `PATCH /admin/policies`. */
@ApiExtraModels(ManagerChange)
export class PolicyPatch {
  @RequiredField(isListOf(isOnly(ManagerChange), MAX_MANAGERS), {
    type: 'array',
    minItems: 1,
    maxItems: MAX_MANAGERS,
    items: { $ref: getSchemaPath(ManagerChange) },
    description: 'The changes. All of them are made at once, or none.',
  })
  managers!: ManagerChange[];

  @OptionalField(isShort, REASON)
  reason?: string | null;
}

/** Body of `POST /admin/policies/rollback`. */
export class PolicyRollback {
  @RequiredField(isNumber({ integer: true, min: 0 }), {
    type: 'integer',
    minimum: 0,
    description: 'The version whose policies shall be in force again, as a new version.',
    example: 3,
  })
  version!: number;

  @OptionalField(isShort, REASON)
  reason?: string | null;
}
