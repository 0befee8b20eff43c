import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { SwaggerModule } from '@nestjs/swagger';
import { createOpenApiDocument } from './create-document.js';
import { DOCS_PATH, DOCUMENT_PATH } from './document-routes.js';

/** Serves the OpenAPI document, and Swagger UI from this installation: nothing is loaded from other hosts. */
export function serveDocument(app: NestFastifyApplication): void {
  SwaggerModule.setup(DOCS_PATH, app, () => createOpenApiDocument(app), {
    jsonDocumentUrl: DOCUMENT_PATH,
    raw: ['json'],
    customSiteTitle: 'Baton',
    swaggerOptions: { validatorUrl: null },
  });
}
