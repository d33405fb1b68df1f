import type { Admission } from '../admission/admission.ts';
import type { Deployment } from '../config/deployment.ts';
import type { Pool } from '../pool/types.ts';
import { failure, type Failure, type Outcome } from '../protocol/outcome.ts';
import type { LambdaEntry, UsageMeter } from '../registry/types.ts';
import type { InvocationMetrics } from '../telemetry/metrics.ts';
import type { Invoke, InvokeRequest } from './types.ts';

export interface InvokeParts {
  readonly admission: Admission;
  readonly pool: Pool;
  readonly usage: UsageMeter;
  readonly metrics: InvocationMetrics;
}

/** The one way into a lambda, whichever edge asks: state, size, admission, pool, and what it cost. */
export function createInvoke({ admission, pool, usage, metrics }: InvokeParts): Invoke {
  let draining = false;
  let inFlight = 0;
  let onIdle: (() => void)[] = [];

  async function invoke(request: InvokeRequest): Promise<Outcome> {
    const startedMs = performance.now();
    inFlight += 1;
    let cpuUs = 0;
    try {
      const { lambda } = request;
      const deployment = lambda.active;
      const refused = draining
        ? failure('draining', 'the host takes no new work', { retryAfterMs: 1_000 })
        : refusal(lambda, deployment, request.body);
      const ran =
        refused || !deployment
          ? { outcome: refused ?? notReady(lambda), cpuUs: 0 }
          : await run(deployment, request);
      cpuUs = ran.cpuUs;
      record(request, deployment, ran.outcome, cpuUs, performance.now() - startedMs);
      return ran.outcome;
    } finally {
      inFlight -= 1;
      if (inFlight === 0 && onIdle.length > 0) {
        for (const resolve of onIdle) resolve();
        onIdle = [];
      }
    }
  }

  async function run(
    deployment: Deployment,
    { head, body, signal }: InvokeRequest,
  ): Promise<{ outcome: Outcome; cpuUs: number }> {
    const admitted = admission.admit(deployment, head.deadlineMs, signal);
    const permit = admitted instanceof Promise ? await admitted : admitted;
    if ('kind' in permit) return { outcome: permit, cpuUs: 0 };
    try {
      const { outcome, usage: cost } = await pool.invoke(deployment, { head, body, signal });
      return { outcome, cpuUs: cost.cpuUs };
    } finally {
      permit.release();
    }
  }

  function record(
    { source, lambda, body }: InvokeRequest,
    deployment: Deployment | undefined,
    outcome: Outcome,
    cpuUs: number,
    wallMs: number,
  ): void {
    metrics.invocation(source, outcome.kind, wallMs);
    usage.invocation({
      accountId: lambda.accountId,
      lambdaId: lambda.id,
      outcome: outcome.kind,
      cpuUs,
      wallUs: Math.round(wallMs * 1_000),
      memoryMb: deployment?.limits.memory_mb ?? 0,
      bytesIn: body.length,
      bytesOut: outcome.kind === 'reply' ? outcome.body.length : 0,
    });
  }

  return Object.assign(invoke, {
    drain: () => void (draining = true),
    idle: () => (inFlight === 0 ? Promise.resolve() : new Promise<void>((resolve) => onIdle.push(resolve))),
  });
}

/** What stands against an invocation before any limit is asked. */
function refusal(
  lambda: LambdaEntry,
  deployment: Deployment | undefined,
  body: Uint8Array,
): Failure | undefined {
  if (!lambda.alive) return failure('disabled', `lambda ${lambda.id} is switched off`);
  if (!deployment) return notReady(lambda);
  if (body.length > deployment.limits.request_bytes)
    return tooLarge(body.length, deployment.limits.request_bytes);
  return undefined;
}

const notReady = (lambda: LambdaEntry): Failure =>
  lambda.state === 'failed'
    ? failure('start_failed', lambda.stateDetail)
    : failure('not_ready', `lambda ${lambda.id} is ${lambda.state}`, { retryAfterMs: 500 });

/** `bytes` is what the sender declared, or what came until the limit was passed. */
export const tooLarge = (bytes: number, limit: number): Failure =>
  failure('request_too_large', `the body has ${bytes} bytes or more; request_bytes is ${limit}`);
