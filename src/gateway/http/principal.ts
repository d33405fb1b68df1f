import type { Principal } from '../../registry/types.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; null where nobody was named, which only public paths accept. */
    principal: Principal | null;
    /** Given by the client, or made: goes into the reply and the logs. */
    requestId: string;
  }
}

export type { Principal };
