import type { Deployment } from '../config/deployment.ts';
import { refused } from './answer.ts';
import type { ServiceClients } from './clients.ts';
import type { Egress } from './egress/fetch.ts';
import { compileEgressPolicy, type EgressPolicy } from './egress/rules.ts';
import type { LogStore } from './log/log-store.ts';
import type { GuestServices } from './types.ts';

export interface GuestServicesParts {
  readonly egress: Egress;
  readonly clients: ServiceClients;
  readonly logs: LogStore;
}

/** One door for all that guests ask of the host. */
export function createGuestServices({ egress, clients, logs }: GuestServicesParts): GuestServices {
  const policies = new WeakMap<Deployment, EgressPolicy>();
  const policyOf = (guest: Deployment): EgressPolicy => {
    let policy = policies.get(guest);
    if (!policy) policies.set(guest, (policy = compileEgressPolicy(guest.egress)));
    return policy;
  };

  return {
    async call(guest, call, body, signal) {
      switch (call.bridge) {
        case 'fetch':
          return egress.fetch({
            policy: policyOf(guest),
            call,
            body,
            replyBytes: guest.limits.fetch_bytes,
            signal,
          });
        case 'service':
          return clients.call(call.service ?? '', guest.accountId, call, body, signal);
        case 'monitoring':
          return refused('monitoring', 'monitoring points are sent as log records');
      }
    },
    log: (guest, head) => logs.add(guest.lambdaId, guest.version, head),
  };
}
