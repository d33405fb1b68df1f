import type { Deployment } from '../config/deployment.ts';
import type { BridgeCall } from '../protocol/messages.ts';
import type { BridgeAnswer } from './answer.ts';
import type { ServiceClients } from './clients.ts';
import type { Egress } from './egress/fetch.ts';
import { compileEgressPolicy, type EgressPolicy } from './egress/rules.ts';
import type { EgressMetrics } from '../telemetry/part-metrics.ts';
import type { Tracer } from '../telemetry/trace-context.ts';
import type { LogStore } from './log/log-store.ts';
import { OutwardTrace } from './outward-trace.ts';
import type { GuestServices } from './types.ts';

export interface GuestServicesParts {
  readonly egress: Egress;
  readonly clients: ServiceClients;
  readonly logs: LogStore;
  /** Told of each outward request that was made or tried: bytes sent and received. */
  readonly onEgress?: ((guest: Deployment, bytes: number) => void) | undefined;
  readonly metrics?: EgressMetrics | undefined;
  readonly tracer?: Tracer | undefined;
}

/** One door for all that guests ask of the host. */
export function createGuestServices({
  egress,
  clients,
  logs,
  onEgress,
  metrics,
  tracer,
}: GuestServicesParts): GuestServices {
  const policies = new WeakMap<Deployment, EgressPolicy>();
  const policyOf = (guest: Deployment): EgressPolicy => {
    let policy = policies.get(guest);
    if (!policy) policies.set(guest, (policy = compileEgressPolicy(guest.egress)));
    return policy;
  };

  /** What a rule refused never left the host, and is nobody's traffic. */
  const counted = async (
    guest: Deployment,
    { bridge }: BridgeCall,
    body: Uint8Array,
    answering: Promise<BridgeAnswer>,
  ): Promise<BridgeAnswer> => {
    const startedMs = performance.now();
    const answer = await answering;
    const { reply } = answer;
    const left = reply.ok || !REFUSED_HERE.has(reply.code);
    if (left) onEgress?.(guest, body.length + answer.body.length);
    const result = reply.ok ? 'ok' : reply.code;
    const sentBytes = left ? body.length : 0;
    metrics?.request(bridge, result, performance.now() - startedMs, sentBytes, answer.body.length);
    return answer;
  };

  const answer = (
    guest: Deployment,
    call: BridgeCall,
    body: Uint8Array,
    signal: AbortSignal,
  ): Promise<BridgeAnswer> => {
    switch (call.bridge) {
      case 'fetch': {
        const replyBytes = guest.limits.fetch_bytes;
        return egress.fetch({ policy: policyOf(guest), call, body, replyBytes, signal });
      }
      case 'service':
        return clients.call(call.service ?? '', guest.accountId, call, body, signal);
    }
  };

  return {
    call(guest, call, body, signal, trace) {
      if (!tracer || !trace) return counted(guest, call, body, answer(guest, call, body, signal));
      const traced = new OutwardTrace(tracer, trace, call);
      return counted(guest, call, body, answer(guest, traced.call, body, signal)).then((answered) =>
        traced.end(answered),
      );
    },
    log: (guest, head) => logs.add(guest.lambdaId, guest.version, head, guest.limits.log_kept_bytes),
  };
}

const REFUSED_HERE: ReadonlySet<string> = new Set([
  'egress',
  'url',
  'method',
  'manifest',
  'service_disabled',
]);
