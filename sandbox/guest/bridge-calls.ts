import { FromGuest } from '../bridge/wire.ts';
import type { Outbox } from './outbox.ts';
import { ownBody } from './own-body.ts';
import { JsonParse, JsonStringify, PlainError } from './primordials.ts';

export interface BridgeRequest {
  readonly bridge: 'fetch' | 'service';
  readonly invocation: number;
  readonly service?: string;
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly redirect?: string;
  readonly body: string | Uint8Array | undefined;
}

export interface BridgeAnswer {
  readonly status: number;
  readonly headers: [string, string][];
  readonly url: string;
  readonly redirected: boolean;
  readonly body: string | Uint8Array;
}

export interface BridgeCalls {
  /** `onStop` is handed a function that gives the call up: its promise rejects, and its place is free. */
  call(request: BridgeRequest, onStop?: (stop: (reason: Error) => void) => void): Promise<BridgeAnswer>;
  /** The invocation that made a call; 0 for a call that is unknown or over. */
  ownerOf(id: number): number;
  answered(id: number, head: string, body: string | Uint8Array): void;
  /** The invocation is over: what it still waits for is given up. */
  invocationEnded(invocation: number): void;
}

interface Pending {
  readonly id: number;
  readonly owner: number;
  readonly head: string;
  readonly body: string | Uint8Array;
  readonly resolve: (answer: BridgeAnswer) => void;
  readonly reject: (error: Error) => void;
  sent: boolean;
}

/** Calls to the host: counted for each invocation, bounded at once for the isolate; the host counts again. */
export function createBridgeCalls(
  outbox: Outbox,
  limits: { readonly fetches: number; readonly fetch_concurrency: number; readonly fetch_bytes: number },
): BridgeCalls {
  // Objects without a prototype, and no methods: tenants can replace those.
  const pending = Object.create(null) as Record<number, Pending>;
  const counts = Object.create(null) as Record<number, number>;
  let counted = 0;
  let queue: Pending[] = [];
  let running = 0;
  let nextId = 1;

  const send = (call: Pending): void => {
    call.sent = true;
    running++;
    outbox.add(FromGuest.bridgeCall, call.id, call.head, call.body);
  };
  const next = (): void => {
    while (running < limits.fetch_concurrency) {
      const first = queue[0];
      if (first === undefined) return;
      const rest: Pending[] = [];
      for (let i = 1; i < queue.length; i++) rest[i - 1] = queue[i]!;
      queue = rest;
      if (pending[first.id] !== undefined) send(first);
    }
  };
  const drop = (call: Pending): void => {
    delete pending[call.id];
    if (call.sent) running--;
    next();
  };

  return {
    call(request, onStop) {
      const count = (counts[request.invocation] ?? 0) + 1;
      // Work outside of requests has no count of its own here: the host's rates and the concurrency bound it.
      if (request.invocation !== 0) {
        counts[request.invocation] = count;
        if (count === 1) counted++;
      }
      if (request.invocation !== 0 && count > limits.fetches) {
        return Promise.reject(
          new PlainError(`more than ${limits.fetches} outward requests in one invocation (fetches)`),
        );
      }
      return new Promise((resolve, reject) => {
        const call: Pending = {
          id: nextId++,
          owner: request.invocation,
          // Made now, because what is wrong with the tenant's values must reject this call and touch nothing else.
          head: headOf(request),
          body: ownBody(request.body ?? ''),
          resolve,
          reject,
          sent: false,
        };
        pending[call.id] = call;
        onStop?.((reason) => {
          if (pending[call.id] === undefined) return;
          drop(call);
          reject(reason);
        });
        if (running < limits.fetch_concurrency) send(call);
        else queue[queue.length] = call;
      });
    },
    ownerOf: (id) => pending[id]?.owner ?? 0,
    answered(id, head, body) {
      const call = pending[id];
      if (call === undefined) return;
      drop(call);
      const answer = JsonParse(head) as
        | { ok: true; status: number; headers: string[]; url: string; redirected: boolean }
        | { ok: false; error: string; code: string };
      if (!answer.ok) {
        const error = new PlainError(answer.error);
        Object.defineProperty(error, 'code', {
          value: answer.code,
          enumerable: true,
          configurable: true,
          writable: true,
        });
        call.reject(error);
        return;
      }
      const headers: [string, string][] = [];
      for (let i = 0; i + 1 < answer.headers.length; i += 2) {
        headers[i / 2] = [answer.headers[i]!, answer.headers[i + 1]!];
      }
      call.resolve({ status: answer.status, headers, url: answer.url, redirected: answer.redirected, body });
    },
    invocationEnded(invocation) {
      // Most invocations ask for nothing, and taking a key from an object is dear.
      if (counted > 0 && counts[invocation] !== undefined) {
        delete counts[invocation];
        counted--;
      }
      if (running === 0 && queue.length === 0) return;
      for (const id in pending) {
        const call = pending[id]!;
        if (call.owner !== invocation) continue;
        drop(call);
        call.reject(new PlainError('the request that this call belongs to has ended'));
      }
    },
  };
}

/** As long as the protocol lets them be. */
const MAX_URL_CHARS = 16_384;
const MAX_METHOD_CHARS = 32;

function headOf(request: BridgeRequest): string {
  const url = `${request.url}`;
  const method = `${request.method}`;
  if (url.length > MAX_URL_CHARS)
    throw new PlainError(`the URL has ${url.length} characters; allowed are ${MAX_URL_CHARS}`);
  if (method.length > MAX_METHOD_CHARS) throw new PlainError('the method is no method of HTTP');
  let headers = '';
  for (const pair of request.headers) {
    headers += `${headers === '' ? '' : ','}${JsonStringify(`${pair[0]}`)},${JsonStringify(`${pair[1]}`)}`;
  }
  return (
    `{"bridge":"${request.bridge}","invocation":${request.invocation},"method":${JsonStringify(method)}` +
    `,"url":${JsonStringify(url)},"headers":[${headers}]` +
    (request.service === undefined ? '' : `,"service":${JsonStringify(request.service)}`) +
    (request.redirect === undefined ? '' : `,"redirect":${JsonStringify(request.redirect)}`) +
    '}'
  );
}
