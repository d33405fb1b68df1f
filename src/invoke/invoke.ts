import type { Admission, Permit } from '../admission/admission.ts';
import type { Deployment } from '../config/deployment.ts';
import type { Pool } from '../pool/types.ts';
import { failure, type Failure, type Outcome } from '../protocol/outcome.ts';
import type { LambdaEntry, UsageMeter } from '../registry/types.ts';
import type { InvocationMetrics } from '../telemetry/metrics.ts';
import { RunTrace } from '../telemetry/run-trace.ts';
import {
  parseTraceparent,
  type Attributes,
  type TraceContext,
  type Tracer,
} from '../telemetry/trace-context.ts';
import type { Invoke, InvokeRequest, Source } from './types.ts';

export interface InvokeParts {
  readonly admission: Admission;
  readonly pool: Pick<Pool, 'invoke'>;
  readonly usage: UsageMeter;
  readonly metrics: InvocationMetrics;
  readonly tracer?: Tracer | undefined;
}

/** The one way into a lambda, whichever edge asks: state, size, admission, pool, and what it cost. */
export function createInvoke({ admission, pool, usage, metrics, tracer }: InvokeParts): Invoke {
  let draining = false;
  let inFlight = 0;
  const onIdle: (() => void)[] = [];

  // Promises are chained, not awaited: each `await` on this way would cost every request another turn of the microtask queue.
  function invoke(request: InvokeRequest): Promise<Outcome> {
    const startedMs = performance.now();
    inFlight += 1;
    const { lambda, body } = request;
    const deployment = lambda.active;
    const end = (outcome: Outcome, cpuUs: number): Outcome => {
      record(request, deployment, outcome, cpuUs, performance.now() - startedMs);
      inFlight -= 1;
      if (inFlight === 0) for (const resolve of onIdle.splice(0)) resolve();
      return outcome;
    };
    if (draining)
      return Promise.resolve(
        end(failure('draining', 'the host takes no new work', { retryAfterMs: 1_000 }), 0),
      );
    if (!deployment) return Promise.resolve(end(refusal(lambda) ?? notReady(lambda), 0));
    const refused =
      refusal(lambda) ??
      (body.length > deployment.limits.request_bytes
        ? tooLarge(body.length, deployment.limits.request_bytes)
        : undefined);
    if (refused) return Promise.resolve(end(refused, 0));
    const admitted = admission.admit(
      deployment,
      request.head.deadlineMs,
      request.interrupt ?? request.signal,
    );
    if (!(admitted instanceof Promise)) return enter(deployment, request, admitted, end);
    const waits = tracer?.start('admission wait', 'internal', placeOf(request));
    return admitted.then((result) => {
      const refusedAs = 'kind' in result ? result.kind : undefined;
      waits?.end(refusedAs);
      metrics.admissionWait(refusedAs === undefined, performance.now() - startedMs);
      return enter(deployment, request, result, end);
    });
  }

  function enter(
    deployment: Deployment,
    request: InvokeRequest,
    permit: Permit | Failure,
    end: (outcome: Outcome, cpuUs: number) => Outcome,
  ): Promise<Outcome> {
    if ('kind' in permit) return Promise.resolve(end(permit, 0));
    const { head, body, signal, interrupt, runMs } = request;
    const running = runMs === undefined ? head : { ...head, deadlineMs: Date.now() + runMs };
    const trace = tracer && new RunTrace(tracer, placeOf(request), attributesOf(deployment, head.requestId));
    const invocation = trace
      ? { head: { ...running, traceparent: trace.traceparent }, body, signal, interrupt, trace }
      : { head: running, body, signal, interrupt };
    return pool.invoke(deployment, invocation).then(({ outcome, usage: cost }) => {
      permit.release();
      trace?.end(outcome);
      return end(outcome, cost.cpuUs);
    });
  }

  function record(
    { source, lambda, body }: Pick<InvokeRequest, 'source' | 'lambda' | 'body'>,
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
    refused: (source: Source, lambda: LambdaEntry, outcome: Failure) =>
      record({ source, lambda, body: NO_BODY }, lambda.active, outcome, 0, 0),
    drain: () => void (draining = true),
    idle: () => (inFlight === 0 ? Promise.resolve() : new Promise<void>((resolve) => onIdle.push(resolve))),
  });
}

const placeOf = ({ trace, head }: InvokeRequest): TraceContext | undefined =>
  trace ?? parseTraceparent(head.traceparent);

const attributesOf = ({ accountId, lambdaId, version }: Deployment, requestId: string): Attributes => ({
  'isolambda.account_id': accountId,
  'isolambda.lambda_id': lambdaId,
  'isolambda.version': version,
  'isolambda.request_id': requestId,
});

const NO_BODY = new Uint8Array(0);

/** What stands against an invocation before any limit is asked. */
const refusal = (lambda: LambdaEntry): Failure | undefined =>
  lambda.alive ? undefined : failure('disabled', `lambda ${lambda.id} is switched off`);

const notReady = (lambda: LambdaEntry): Failure =>
  lambda.state === 'failed'
    ? failure('start_failed', lambda.stateDetail)
    : failure('not_ready', `lambda ${lambda.id} is ${lambda.state}`, { retryAfterMs: 500 });

/** `bytes` is what the sender declared, or what came until the limit was passed. */
export const tooLarge = (bytes: number, limit: number): Failure =>
  failure('request_too_large', `the body has ${bytes} bytes or more; request_bytes is ${limit}`);
