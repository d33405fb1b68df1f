/** What a browser is shown, below `/docs`. Everything comes from packages: no CDN. */
import helmet from '@fastify/helmet';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { errorsPage } from './errors-page.ts';

export const pages: FastifyPluginAsyncTypebox = async (app) => {
  await app.register(helmet, {
    contentSecurityPolicy: {
      directives: {
        fontSrc: ["'self'", 'data:'],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
        styleSrc: ["'self'"],
        // A host speaks plain HTTP; what stands before it may speak TLS, and then it is for that to insist on it.
        upgradeInsecureRequests: null,
      },
    },
    strictTransportSecurity: false,
    xFrameOptions: { action: 'deny' },
  });
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    uiConfig: { docExpansion: 'list', deepLinking: true, tryItOutEnabled: true },
  });
  await app.register(errorsPage);
};
