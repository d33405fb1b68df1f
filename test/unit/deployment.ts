import type { Deployment } from '../../src/config/deployment.ts';
import { DEFAULT_LIMITS, type PartialLimits } from '../../src/config/limits.ts';

/** A deployment for tests of the parts that only read one. */
export function deploymentWith(limits: PartialLimits = {}, more: Partial<Deployment> = {}): Deployment {
  return {
    accountId: 'account-1',
    lambdaId: 'lambda-1',
    version: 1,
    type: 'standalone',
    handler: 'main',
    limits: { ...DEFAULT_LIMITS, ...(limits as Record<string, number>) },
    instances: 1,
    lambdaConfig: null,
    userConfig: {},
    egress: [],
    env: {},
    services: {},
    debugErrors: false,
    loadBundle: () => Promise.reject(new Error('no bundle in this test')),
    ...more,
  };
}
