import type { RequestHead } from '../sdk/core/lambda.ts';
import type { HttpRequestHead } from '../sdk/core/request.ts';
import { indexInText, JsonParse, startsText } from './primordials.ts';

const HTTP = '{"kind":"http",';
/** Inside JSON's strings each quote has a backslash before it, and an HTTP head has no object inside: this can be nothing else. */
const POST_MAIN = '"method":"POST","path":"/main",';

/**
 * The head of an invocation. To parse one took a fifth of the guest's time for a request, and most lambdas ask for
 * nothing in it: so that of the usual request is parsed when something is.
 */
export function requestHead(text: string): RequestHead {
  if (startsText(text, HTTP) && indexInText(text, POST_MAIN) > 0) return new MainHead(text);
  return JsonParse(text) as RequestHead;
}

/** The head of `POST /main`. */
class MainHead implements HttpRequestHead {
  readonly kind = 'http';
  readonly method = 'POST';
  readonly path = '/main';
  readonly #text: string;
  #parsed: HttpRequestHead | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  get requestId(): string {
    return this.#all().requestId;
  }
  get accountId(): string {
    return this.#all().accountId;
  }
  get deadlineMs(): number {
    return this.#all().deadlineMs;
  }
  get query(): string {
    return this.#all().query;
  }
  get headers(): readonly string[] {
    return this.#all().headers;
  }
  get clientIp(): string {
    return this.#all().clientIp;
  }

  #all(): HttpRequestHead {
    return (this.#parsed ??= JsonParse(this.#text) as HttpRequestHead);
  }
}
