import type { OpenAPIObject } from '@nestjs/swagger';
import { ERROR_DESCRIPTIONS } from './error-responses.js';

/** The name of the security scheme. */
export const BEARER = 'bearer';
/** With a key, or without one where the configuration allows it. */
export const EITHER: Record<string, string[]>[] = [{ [BEARER]: [] }, {}];

/** Routes that ask nobody for a key. */
const OPEN = /^\/health\//;
const ADMIN = /^\/admin\//;
const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;
const ERROR_CONTENT = { 'application/json': { schema: { $ref: '#/components/schemas/ErrorBody' } } };

/** Documents who may ask what, and the answer to others. */
export function addAccess(document: OpenAPIObject): void {
  for (const [path, item] of Object.entries(document.paths)) {
    for (const operation of METHODS.flatMap((method) => item[method] ?? [])) {
      if (OPEN.test(path)) operation.security = [];
      else operation.responses['401'] = { description: ERROR_DESCRIPTIONS[401], content: ERROR_CONTENT };
      if (ADMIN.test(path)) operation.security = [{ [BEARER]: [] }];
    }
  }
}
