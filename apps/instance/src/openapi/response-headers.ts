import type { OpenAPIObject } from '@nestjs/swagger';

const HEADERS = {
  'x-request-id': {
    description: "The client's id of the request, when it is safe to repeat, else a fresh one.",
    schema: { type: 'string' },
  },
  'x-baton-manager': {
    description: 'The manager that answered, or local.',
    schema: { type: 'string' },
  },
  'retry-after': {
    description: 'Seconds after which a retry makes sense; not always sent.',
    schema: { type: 'integer' },
  },
} as const;

const EVERYWHERE = ['x-request-id', 'x-baton-manager'];
const WITH_RETRY = ['429', '503'];
const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;

/** Documents the headers that every answer has, and the answer to errors that any route may meet. */
export function addResponseHeaders(document: OpenAPIObject): void {
  document.components = { ...document.components, headers: { ...document.components?.headers, ...HEADERS } };
  for (const path of Object.values(document.paths)) {
    for (const operation of METHODS.flatMap((method) => path[method] ?? [])) {
      Object.assign(operation.responses, OTHER_ERRORS);
      for (const [status, response] of Object.entries(operation.responses)) {
        if (response === undefined || '$ref' in response) continue;
        const names = WITH_RETRY.includes(status) ? [...EVERYWHERE, 'retry-after'] : EVERYWHERE;
        const headers = names.map((name) => [name, { $ref: `#/components/headers/${name}` }]);
        operation.responses[status] = {
          ...response,
          // A route's own, such as ETag, stay.
          headers: { ...response.headers, ...(Object.fromEntries(headers) as NonNullable<typeof response.headers>) },
        };
      }
    }
  }
}

const ERROR_CONTENT = { 'application/json': { schema: { $ref: '#/components/schemas/ErrorBody' } } };

/** What any route may meet besides its own errors. */
const OTHER_ERRORS = {
  '4XX': {
    description: 'The request is not valid HTTP, its headers are too large (431), or it did not arrive in time (408).',
    content: ERROR_CONTENT,
  },
  '5XX': { description: 'The server failed in another way.', content: ERROR_CONTENT },
};
