/** A reply, whole. `T` is what `json` holds. */
export class LambdaReply<T = unknown> {
  readonly statusCode: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
  #parsed: { readonly json: T } | undefined;

  constructor(statusCode: number, headers: Headers, body: Uint8Array) {
    this.statusCode = statusCode;
    this.headers = headers;
    this.body = body;
  }

  /** The body, parsed on first use. Throws SyntaxError where it is not JSON; `undefined` where there is no body. */
  get json(): T {
    this.#parsed ??= {
      json: (this.body.byteLength === 0 ? undefined : JSON.parse(this.text)) as T,
    };
    return this.#parsed.json;
  }

  get text(): string {
    return new TextDecoder().decode(this.body);
  }

  get ok(): boolean {
    return this.statusCode >= 200 && this.statusCode < 300;
  }
}
