import type { ErrorReply } from '../schemas/common.ts';

/** The host refused, or failed at, a request: what its error body says, as fields. */
export class LambdaApiError extends Error {
  override readonly name: string = 'LambdaApiError';
  readonly statusCode: number;
  /** `error_code` of the body; 0 where the reply had no such body (a proxy in between, for one). */
  readonly errorCode: number;
  readonly desc: string;
  readonly detail: string;
  /** Where the code is explained: an absolute URL on the host. */
  readonly link: string | undefined;
  /** Where more than one thing is wrong: each of them. */
  readonly problems: readonly unknown[];
  /** When it makes sense to try again, in milliseconds, from `Retry-After`. */
  readonly retryAfterMs: number | undefined;
  readonly requestId: string | undefined;

  constructor(statusCode: number, headers: Headers, body: unknown, origin: string) {
    const told = isErrorReply(body) ? body : undefined;
    const desc = told?.desc ?? `HTTP ${statusCode}`;
    const detail = told?.detail ?? '';
    super(detail === '' ? desc : `${desc}: ${detail}`);
    this.statusCode = statusCode;
    this.errorCode = told?.error_code ?? 0;
    this.desc = desc;
    this.detail = detail;
    this.link =
      told !== undefined && URL.canParse(told.link, origin) ? new URL(told.link, origin).href : undefined;
    this.problems = told?.problems ?? [];
    this.retryAfterMs = retryAfterMs(headers.get('retry-after'));
    this.requestId = headers.get('luna-request-id') ?? undefined;
  }
}

/** No reply: the host was not reached, or the connection broke. `cause` is what `fetch` said. */
export class LambdaConnectionError extends Error {
  override readonly name: string = 'LambdaConnectionError';
}

/** No reply within `timeoutMs`, or a lambda that was not running by then. */
export class LambdaTimeoutError extends Error {
  override readonly name: string = 'LambdaTimeoutError';
  readonly timeoutMs: number;
  constructor(message: string, timeoutMs: number) {
    super(message);
    this.timeoutMs = timeoutMs;
  }
}

/** A lambda that was waited for ended in a state from which it can't run: `failed` or `disabled`. */
export class LambdaStateError extends Error {
  override readonly name: string = 'LambdaStateError';
  readonly lambdaId: string;
  readonly status: string;
  readonly detail: string;
  constructor(lambdaId: string, status: string, detail: string) {
    super(`lambda ${lambdaId} is ${status}${detail === '' ? '' : `: ${detail}`}`);
    this.lambdaId = lambdaId;
    this.status = status;
    this.detail = detail;
  }
}

function isErrorReply(body: unknown): body is ErrorReply {
  if (typeof body !== 'object' || body === null) return false;
  const { error_code, desc, detail, link, problems } = body as Record<string, unknown>;
  return (
    typeof error_code === 'number' &&
    typeof desc === 'string' &&
    typeof detail === 'string' &&
    typeof link === 'string' &&
    (problems === undefined || Array.isArray(problems))
  );
}

/** `Retry-After` is seconds or a date: RFC 9110, section 10.2.3. */
function retryAfterMs(value: string | null): number | undefined {
  if (value === null) return undefined;
  if (/^\d+(\.\d+)?$/.test(value.trim())) return Math.ceil(Number(value) * 1_000);
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now());
}
