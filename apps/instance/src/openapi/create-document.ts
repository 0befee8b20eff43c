import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import { ErrorBody } from '../dto/error-body.js';
import { packageVersion } from '../package-version.js';
import { addAccess, BEARER, EITHER } from './access.js';
import { addDocumentRoutes } from './document-routes.js';
import { addResponseHeaders } from './response-headers.js';
import { useNumericExclusiveBounds } from './exclusive-bounds.js';

const DESCRIPTION = `One instance of Baton, in front of one engine. It decides for each request what runs here and what runs on
another instance, hands the KV cache over, and gives the client one connection as if one machine had done it all.

Every error has the shape of OpenAI's API. Every answer says in \`x-request-id\` which request it is for and in
\`x-baton-manager\` who answered.`;

const KEYS = `An API key of this instance. Whether clients need one is a matter of its configuration; \`/metrics\` and
\`/baton/v1/info\` need the key of another instance or of an operator as soon as there are any keys.`;

/** The OpenAPI document of an instance, from its routes and DTOs. */
export function createOpenApiDocument(app: INestApplication): OpenAPIObject {
  const builder = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Baton')
    .setDescription(DESCRIPTION)
    .setVersion(packageVersion())
    .setLicense('Apache-2.0', 'https://www.apache.org/licenses/LICENSE-2.0')
    .addServer('/', 'This instance')
    .addTag('inference', 'Prompts in, tokens out')
    .addTag('models', 'What is served')
    .addTag('tokens', 'Text to token ids and back')
    .addTag('operation', 'For balancers, supervisors and Prometheus')
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: KEYS }, BEARER)
    .build();
  const config = { ...builder, security: EITHER };
  const document = SwaggerModule.createDocument(app, config, {
    operationIdFactory: (_controller, method) => method,
    extraModels: [ErrorBody],
  });
  addDocumentRoutes(document);
  addAccess(document);
  addResponseHeaders(document);
  useNumericExclusiveBounds(document);
  return document;
}
