/**
 * What the web APIs need from outside the isolate. The bootstrap makes one WebHost of closures over the bridge
 * and hands it to `installWebApis`, which never lets tenant code reach it: no WebHost function is ever a
 * property of, an argument to, or the `this` of anything that a tenant can touch.
 *
 * Values that cross are plain: strings, numbers, Uint8Arrays and arrays of them.
 */

/** One HTTP request as `fetch` hands it over; header names are lower-case and already checked. */
export interface HostFetchRequest {
  /** A normalised method: `GET`, `POST`, ... never `CONNECT`, `TRACE` or `TRACK`. */
  method: string;
  /** An absolute `http:` or `https:` URL without fragment or credentials, as the URL parser serialised it. */
  url: string;
  /** In sending order; a name may come more than once. */
  headers: [string, string][];
  body?: string | Uint8Array;
  redirect: 'follow' | 'manual' | 'error';
  signal?: HostSignal;
}

/**
 * Tells the host that the caller gave up. Not an `AbortSignal`: its methods sit on a prototype that tenants can
 * patch, and a patched `addEventListener` would be handed a function of the host's.
 */
export interface HostSignal {
  readonly aborted: boolean;
  /** Calls back once, at the abort; at once when it already happened. The callback gets no arguments. */
  onAbort(callback: () => void): void;
}

/** A reply read to its end. Nothing in it is trusted by the guest: it is checked like any constructor argument. */
export interface HostFetchResponse {
  status: number;
  statusText?: string;
  headers: [string, string][];
  /** The URL of the last hop. */
  url: string;
  redirected: boolean;
  /** Belongs to the guest from then on: the host must not write to it again. */
  body: string | Uint8Array;
}

export interface WebHost {
  /** Coarse milliseconds since the Unix epoch, may carry a fraction; the source of `performance.now`. */
  now(): number;
  /** `length` bytes, at most 65536 a call, from a cryptographic source. */
  randomBytes(length: number): Uint8Array;
  /** A host name outside ASCII, or with labels in Punycode, as DNS has it (UTS #46, as the URL standard asks for it); empty where it is invalid. */
  domainToASCII(domain: string): string;
  /**
   * Runs `callback` after `delayMs` (whole, 0 to 2^31-1), once or again and again; gives a positive id. A throw
   * from the callback is the host's to report. Callbacks of one delay run in the order they were set.
   */
  setTimer(callback: () => void, delayMs: number, repeat: boolean): number;
  /** Unknown, past and repeated ids are ignored. */
  clearTimer(id: number): void;
  /**
   * Performs a request under the egress rules. A rejection's message is shown to the tenant as the message of a
   * TypeError, so it must say what to mend and must not carry anything of the host's.
   */
  fetch(request: HostFetchRequest): Promise<HostFetchResponse>;
  /**
   * Where an exception goes that no caller can catch: thrown by an event listener or a microtask. Without it such
   * an exception is dropped.
   */
  reportError?(error: unknown): void;
}
