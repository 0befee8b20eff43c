import type { OpenAPIObject } from '@nestjs/swagger';

/** Where the document is served. */
export const DOCUMENT_PATH = '/openapi.json';
/** Where it is shown. */
export const DOCS_PATH = '/docs';

/** Adds the routes of the document itself, which no controller has. */
export function addDocumentRoutes(document: OpenAPIObject): void {
  document.paths[DOCUMENT_PATH] = {
    get: {
      operationId: 'openApiDocument',
      summary: 'This document',
      tags: ['operation'],
      responses: {
        200: { description: 'The document.', content: { 'application/json': { schema: { type: 'object' } } } },
      },
    },
  };
  document.paths[DOCS_PATH] = {
    get: {
      operationId: 'docs',
      summary: 'This document, for people',
      tags: ['operation'],
      responses: { 200: { description: 'A page.', content: { 'text/html': { schema: { type: 'string' } } } } },
    },
  };
}
