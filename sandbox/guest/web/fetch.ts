/** fetch: a Request, handed to the host, and its reply as a Response. The egress rules are the host's. */
import { abortState, onAbort } from './abort.ts';
import type { AbortSignal } from './abort.ts';
import { joinParts } from './bytes.ts';
import { takeBody } from './body.ts';
import { headerEntries } from './headers.ts';
import type { HostFetchRequest, HostFetchResponse, HostSignal } from './host.ts';
import { Request, requestState } from './request.ts';
import { responseFromHost } from './response.ts';
import type { Response } from './response.ts';
import { hostOf } from './runtime.ts';
import { URL } from './url.ts';
import { requireArguments } from './webidl.ts';

export const fetchFunctions = {
  async fetch(input: unknown, init?: unknown): Promise<Response> {
    requireArguments(arguments.length, 1, 'fetch');
    const state = requestState(new Request(input, init));
    const abort = abortState(state.signal);
    if (abort.aborted) throw abort.reason;
    const url = new URL(state.url);
    if (url.protocol !== 'http:' && url.protocol !== 'https:') {
      throw new TypeError(
        `fetch failed: ${url.protocol} URLs cannot be fetched here, only http: and https:.`,
      );
    }
    url.hash = '';
    const source = state.body === null ? undefined : await takeBody(state.body);
    if (abort.aborted) throw abort.reason;
    const request: HostFetchRequest = {
      method: state.method,
      url: url.href,
      headers: headerEntries(state.headers),
      redirect: state.redirect as HostFetchRequest['redirect'],
      signal: hostSignal(state.signal),
      ...(source === undefined ? {} : { body: typeof source === 'string' ? source : joinParts(source) }),
    };
    return untilAborted(state.signal, send(request));
  },
};

async function send(request: HostFetchRequest): Promise<Response> {
  let reply: HostFetchResponse;
  try {
    reply = await hostOf().fetch(request);
  } catch (error) {
    // The host's error object itself never reaches the tenant, only its message.
    throw new TypeError(messageOf(error));
  }
  return responseFromHost(reply);
}

/** Without `instanceof`, which would show the object to a patched Symbol.hasInstance. */
function messageOf(error: unknown): string {
  const said = typeof error === 'object' && error !== null ? (error as { message?: unknown }).message : error;
  return typeof said === 'string' && said !== '' ? said : 'fetch failed';
}

function untilAborted(signal: AbortSignal, reply: Promise<Response>): Promise<Response> {
  const { promise, resolve, reject } = Promise.withResolvers<Response>();
  const off = onAbort(signal, () => resolve(failed(abortState(signal).reason)));
  reply.then(
    (response) => {
      off();
      resolve(response);
    },
    (error: unknown) => {
      off();
      reject(error);
    },
  );
  return promise;
}

/** Rejects with just the value that a tenant aborted with, which need not be an Error. */
async function failed(reason: unknown): Promise<never> {
  throw reason;
}

function hostSignal(signal: AbortSignal): HostSignal {
  return {
    get aborted() {
      return abortState(signal).aborted;
    },
    onAbort(callback) {
      onAbort(signal, () => callback());
    },
  };
}
