import { isDeepStrictEqual } from 'node:util';
import type { Deployment } from '../config/deployment.ts';

/** Whether an isolate made for one deployment serves the other too. The user's configuration is not part of the make: it is sent when it changes. */
export function sameMake(one: Deployment, other: Deployment): boolean {
  return (
    one.type === other.type &&
    one.handler === other.handler &&
    one.debugErrors === other.debugErrors &&
    isDeepStrictEqual(one.limits, other.limits) &&
    isDeepStrictEqual(one.env, other.env) &&
    isDeepStrictEqual(one.services, other.services) &&
    isDeepStrictEqual(one.lambdaConfig, other.lambdaConfig)
  );
}
