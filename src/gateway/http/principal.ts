import type { LambdaEntry, Principal } from '../../registry/types.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; null where nobody was named, which only public paths accept. */
    principal: Principal | null;
    /** Given by the client, or made: goes into the reply, the logs and the lambda. */
    requestId: string;
    /** On the way into a lambda: which. */
    lambda: LambdaEntry | null;
  }
}

export type { Principal };
