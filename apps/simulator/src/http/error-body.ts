import type { EngineError } from '../engine/engine-error.js';
import type { ErrorShape } from '../faults/fault.js';
import type { JsonObject } from '../json.js';

/** How a dialect writes an error. */
export type ErrorWriter = (error: EngineError) => JsonObject;

const TYPES: Readonly<Record<number, string>> = {
  400: 'BadRequestError',
  404: 'NotFoundError',
  422: 'UnprocessableEntityError',
  500: 'InternalServerError',
  501: 'NotImplementedError',
};

const typeOf = ({ status, type }: EngineError): string => type ?? TYPES[status] ?? 'HTTPException';

/** vLLM's shape. */
export const nestedError: ErrorWriter = (error) => ({
  error: { message: error.message, type: typeOf(error), param: error.param, code: error.status },
});

/** The shape of SGLang, TRT-LLM and older servers. */
export const flatError: ErrorWriter = (error) => ({
  object: 'error',
  message: error.message,
  type: typeOf(error),
  param: error.param,
  code: error.status,
});

/** An error in a shape that a fault asks for; text when it is no JSON. */
export function errorInShape(error: EngineError, shape: ErrorShape, dialect: ErrorWriter): JsonObject | string {
  switch (shape) {
    case 'dialect':
      return dialect(error);
    case 'nested':
      return nestedError(error);
    case 'flat':
      return flatError(error);
    case 'string-code':
      return { error: { type: 'server_error', code: 'server_selection_failed', message: error.message } };
    case 'text':
      return error.message;
    case 'html':
      return `<html><body><h1>${error.status}</h1><p>${error.message}</p></body></html>`;
    case 'broken':
      return `{"error":{"message":"${error.message}","code":${error.status}`;
    case 'empty':
      return '';
  }
}
