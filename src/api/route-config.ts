/** What this API's routes say of themselves beside their schemas. */
import type { Access } from './asker.ts';
import type { DocumentedBody } from './openapi/upload-body.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may use the route. */
    access?: Access;
    /** Shown in the OpenAPI document, where the body is not checked by a schema. */
    documentedBody?: DocumentedBody;
  }
}
