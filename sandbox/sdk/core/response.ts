/** What `sendResponse` takes besides the status. `json` and `body` exclude each other. */
export interface ResponseOptions {
  /** Any value that JSON can hold; the content type is `application/json`. */
  readonly json?: unknown;
  /** Text (`text/plain`) or bytes (`application/octet-stream`), unless the headers say otherwise. */
  readonly body?: string | ArrayBuffer | ArrayBufferView | null | undefined;
  readonly headers?: HeadersGiven | undefined;
}

export type HeadersGiven =
  Readonly<Record<string, string | number | readonly string[]>> | Iterable<readonly [string, string]>;

/** A reply made by `sendResponse`. Read-only: it is checked when it was returned. */
export class LambdaResponse {
  readonly statusCode: number;
  readonly json: unknown;
  readonly body: unknown;
  readonly headers: HeadersGiven | undefined;
  /** Whether `json` was given; `undefined` is given as null. */
  readonly isJson: boolean;

  constructor(statusCode: number, options: ResponseOptions) {
    this.statusCode = statusCode;
    this.json = options.json;
    this.body = options.body;
    this.headers = options.headers;
    this.isJson = 'json' in options && options.json !== undefined;
    Object.freeze(this);
  }
}

/** The seed's message, its spelling included: ported lambdas' tests compare it. */
export const JSON_AND_BODY = "'json' and 'body' parameters can`t be specified at once";

/**
 * `sendResponse(201, { json: {...} })`, `sendResponse({ statusCode: 201, body: "..." })`, `sendResponse()`.
 * Throws TypeError where both `json` and `body` are given.
 */
export function sendResponse(
  statusOrOptions: number | (ResponseOptions & { readonly statusCode?: number }) = 200,
  options: ResponseOptions = {},
): LambdaResponse {
  const given = typeof statusOrOptions === 'object' ? statusOrOptions : options;
  const status = typeof statusOrOptions === 'object' ? (statusOrOptions.statusCode ?? 200) : statusOrOptions;
  if (given.json !== undefined && given.body !== undefined && given.body !== null)
    throw new TypeError(JSON_AND_BODY);
  return new LambdaResponse(status, given);
}
