import { parseRunnerHead, type ResultHead } from '../protocol/messages.ts';
import { FrameError } from '../protocol/frame.ts';
import {
  failure,
  type Failure,
  type FailureKind,
  type HeaderList,
  type Outcome,
} from '../protocol/outcome.ts';
import type { Limits } from '../config/limits.ts';

/** Ends that a runner may report. The others are the host's to decide: a runner that claims one breaks the protocol. */
const RUNNERS_KINDS: ReadonlySet<FailureKind> = new Set([
  'user_exception',
  'exception',
  'reply_not_serializable',
  'reply_invalid',
  'reply_too_large',
  'request_invalid',
  'request_too_large',
  'route_not_found',
  'method_not_allowed',
  'canceled',
  'timeout',
  'cpu_limit',
  'memory_limit',
  'start_failed',
  'isolate_lost',
  'draining',
  'internal',
]);

/** RFC 9110, field names: a token. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** RFC 9110, field values, with obs-text: no CR, LF or NUL, and nothing that does not fit a byte. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const METHODS = /^[A-Z]{1,20}(, ?[A-Z]{1,20}){0,19}$/;

/** RFC 9110, section 7.6.1, and the framing of the message: the gateway's business. A lambda that copied them from elsewhere means no harm. */
const DROPPED: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

const MAX_DETAIL_CHARS = 8 * 1024;
const MAX_STACK_CHARS = 32 * 1024;
const MAX_TYPE_CHARS = 128;
const MAX_RETRY_MS = 60_000;

/** The outcome that a runner reports, as far as the host believes it. Throws FrameError where it is not the runner's to say. */
export function outcomeOf(head: ResultHead, body: Uint8Array, limits: Limits): Outcome {
  if (head.kind !== 'reply') return believable(head);
  if (body.length > limits.reply_bytes)
    return failure(
      'reply_too_large',
      `the reply has ${body.length} bytes; allowed are ${limits.reply_bytes}`,
    );
  const headers = replyHeaders(head.headers, limits.header_bytes);
  if ('kind' in headers) return headers;
  return { kind: 'reply', status: head.status, headers: headers.list, body };
}

/**
 * Reads the results of one runner. A lambda's replies mostly have the same head: the last one that passed every check is
 * kept by its text, which spares parsing and checking it again (a tenth of the host's work on a small request).
 */
export class ResultReader {
  #text = '';
  #reply: { readonly status: number; readonly headers: HeaderList } | undefined;
  #headerBytes = 0;

  /** Throws FrameError where the head is none that a runner may send. */
  outcome(text: string, body: Uint8Array, limits: Limits): Outcome {
    const known = this.#reply;
    if (
      known &&
      text === this.#text &&
      limits.header_bytes === this.#headerBytes &&
      body.length <= limits.reply_bytes
    )
      return { kind: 'reply', status: known.status, headers: known.headers, body };
    const outcome = outcomeOf(parseRunnerHead('result', text), body, limits);
    if (outcome.kind === 'reply' && text.length <= MAX_KEPT_CHARS) {
      this.#text = text;
      this.#reply = outcome;
      this.#headerBytes = limits.header_bytes;
    }
    return outcome;
  }
}
const MAX_KEPT_CHARS = 1024;

/** Names in lower case, values that HTTP allows, without those of the hop; or why not. */
export function replyHeaders(
  given: HeaderList,
  headerBytes: number,
): { readonly list: HeaderList } | Failure {
  if (given.length % 2 !== 0) return failure('reply_invalid', 'the reply has a header without a value');
  let bytes = 0;
  let clean = true;
  for (let index = 0; index < given.length; index += 2) {
    const name = given[index]!;
    const value = given[index + 1]!;
    bytes += name.length + value.length;
    if (bytes > headerBytes)
      return failure(
        'reply_too_large',
        `the reply's headers have more than ${headerBytes} bytes (header_bytes)`,
      );
    if (!TOKEN.test(name)) return failure('reply_invalid', `${quoted(name)} is not the name of a header`);
    if (!VALUE.test(value))
      return failure('reply_invalid', `the value of the header ${quoted(name)} is not valid in HTTP`);
    if (DROPPED.has(name) || name !== name.toLowerCase()) clean = false;
  }
  if (clean) return { list: given };
  const list: string[] = [];
  for (let index = 0; index < given.length; index += 2) {
    const name = given[index]!.toLowerCase();
    if (!DROPPED.has(name)) list.push(name, given[index + 1]!);
  }
  return { list };
}

const quoted = (text: string): string => JSON.stringify(text.slice(0, 100));

/** A failure as a runner tells it, cut to size: it goes into replies and logs. */
export function believable(told: Failure): Failure {
  if (!RUNNERS_KINDS.has(told.kind)) throw new FrameError(`${told.kind} is not a runner's to report`);
  const status = told.status !== undefined && told.status >= 200 && told.status <= 599;
  return {
    kind: told.kind,
    detail: told.detail.slice(0, MAX_DETAIL_CHARS),
    ...(status && { status: told.status }),
    ...(told.type !== undefined && { type: told.type.slice(0, MAX_TYPE_CHARS) }),
    ...(told.stack !== undefined && { stack: told.stack.slice(0, MAX_STACK_CHARS) }),
    ...(told.allow !== undefined && METHODS.test(told.allow) && { allow: told.allow }),
    ...(told.retryAfterMs !== undefined && { retryAfterMs: Math.min(told.retryAfterMs, MAX_RETRY_MS) }),
  };
}
