/**
 * The one table of errors: code, HTTP status, what it means, and the mend.
 * Codes below 43000 are those of the face-recognition platform whose lambda contract isolambda keeps.
 * `docs/errors.md` is generated from this table; a test holds the two together.
 */
import type { FailureKind } from '../protocol/outcome.ts';

export interface ErrorSpec {
  readonly code: number;
  readonly status: number;
  /** A short title, the same for every error of the code. */
  readonly desc: string;
  /** What the reader can do about it. */
  readonly mend: string;
}

const spec = (code: number, status: number, desc: string, mend: string): ErrorSpec => ({
  code,
  status,
  desc,
  mend,
});

/** One for each way that an invocation can fail. */
const INVOCATION_ERRORS = {
  user_exception: spec(42004, 400, 'Lambda exception', 'The lambda refused the request: see detail.'),
  exception: spec(
    42004,
    500,
    'Lambda exception',
    'The lambda threw: its log holds the stack. Set debug_errors to see it in replies.',
  ),
  timeout: spec(
    43001,
    504,
    'Invocation timed out',
    "Make the lambda faster, or raise timeout_ms within the account's quota.",
  ),
  cpu_limit: spec(
    43002,
    504,
    'CPU limit exceeded',
    'The lambda computed for longer than cpu_ms: do less per request, or raise it within the quota.',
  ),
  memory_limit: spec(
    43003,
    507,
    'Memory limit exceeded',
    'The lambda held more than memory_mb: hold less, or raise it within the quota.',
  ),
  rate_limited: spec(
    43004,
    429,
    'Rate limit exceeded',
    'Send fewer requests per second, or wait for Retry-After.',
  ),
  concurrency_limit: spec(
    43005,
    429,
    'Concurrency limit exceeded',
    'Too many requests in flight: wait for replies before you send more.',
  ),
  queue_full: spec(43006, 429, 'Queue is full', 'Too many requests waiting: wait for Retry-After.'),
  queue_timeout: spec(
    43006,
    429,
    'Waited too long in the queue',
    "The account's places were taken until the deadline: send fewer at once.",
  ),
  request_too_large: spec(
    43007,
    413,
    'Request body too large',
    'Send less than request_bytes, or raise it within the quota.',
  ),
  reply_too_large: spec(
    43008,
    502,
    'Reply too large',
    'The lambda returned more than reply_bytes (or header_bytes of headers).',
  ),
  runner_lost: spec(43009, 503, 'Runner lost', "The account's runner process died: send the request again."),
  disabled: spec(
    43010,
    409,
    'Lambda is disabled',
    'Switch it on: POST /1/lambdas/{id}/switch {"alive": true}.',
  ),
  not_ready: spec(43011, 409, 'Lambda is not ready', 'It is being built: see GET /1/lambdas/{id}/status.'),
  draining: spec(
    43012,
    503,
    'Host is shutting down',
    'Send the request again: another host, or this one after its restart, serves it.',
  ),
  isolate_lost: spec(
    43013,
    503,
    'Isolate lost',
    'Another request of the same lambda broke a limit: send this one again.',
  ),
  request_invalid: spec(43014, 400, 'Malformed request body', 'The body is not what its Content-Type says.'),
  reply_not_serializable: spec(
    43015,
    500,
    'Reply cannot be serialised',
    'Return what JSON can hold, bytes, or a Response.',
  ),
  reply_invalid: spec(
    43016,
    502,
    'Reply is not valid HTTP',
    'The lambda set a status or a header that HTTP does not allow.',
  ),
  route_not_found: spec(
    43017,
    404,
    'Route not found',
    'The lambda has no such route: GET .../proxy/docs/spec lists them.',
  ),
  method_not_allowed: spec(
    43018,
    405,
    'Method not allowed',
    'The Allow header lists the methods of this route.',
  ),
  start_failed: spec(
    43019,
    503,
    'Lambda failed to start',
    'Its module or onStart threw: see the status and the log, and upload a new version.',
  ),
  quarantined: spec(
    43020,
    503,
    'Lambda is quarantined',
    'It killed its runner again and again: wait for Retry-After, or upload a new version.',
  ),
  canceled: spec(43021, 499, 'Canceled', 'The client closed the connection before the reply.'),
  internal: spec(43000, 500, 'Internal error', 'This is a fault of the host: its log holds the request id.'),
} as const satisfies Record<FailureKind, ErrorSpec>;

/** Everything else that the API, the builder and the commands can answer. */
const API_ERRORS = {
  lambda_not_found: spec(42001, 404, 'Lambda not found', 'Check the id: GET /1/lambdas lists yours.'),
  validation: spec(
    42005,
    400,
    'Lambda validation failed',
    'Mend what detail lists, and upload again; isolambda validate shows the same list.',
  ),
  update_failed: spec(
    42006,
    400,
    'Lambda update failed',
    'Mend what detail says; the version before it goes on serving.',
  ),
  update_conflict: spec(
    42011,
    409,
    'Update conflict',
    'Another update of this lambda is under way: wait for it.',
  ),
  archive_gone: spec(42012, 410, 'Archive is gone', 'That version is no longer kept: upload it again.'),
  task_without_result: spec(28018, 409, 'Task has no result yet', 'Wait until its status is done.'),
  archive_refused: spec(
    43030,
    400,
    'Archive refused',
    'Make a plain zip with lambda_main.ts or .js at its root; isolambda pack does.',
  ),
  archive_too_large: spec(43031, 413, 'Archive too large', 'Upload less than archive_bytes.'),
  build_failed: spec(
    43032,
    500,
    'Build did not finish',
    'The builder broke its limits: see detail, make the archive smaller, or try again.',
  ),
  bad_request: spec(43033, 400, 'Bad request', 'Mend what detail names; /docs has the schema.'),
  unauthorized: spec(
    43034,
    401,
    'Authentication required',
    'Send Authorization: Bearer <token> with a token that is neither revoked nor expired.',
  ),
  forbidden: spec(43035, 403, 'Forbidden', 'The token lacks the scope or the account that this needs.'),
  account_not_found: spec(43036, 404, 'Account not found', 'Check the id.'),
  token_not_found: spec(43037, 404, 'Token not found', "Check the id: GET .../tokens lists the account's."),
  version_not_found: spec(
    43038,
    404,
    'Version not found',
    'GET /1/lambdas/{id}/versions lists those that are kept.',
  ),
  not_found: spec(43039, 404, 'Not found', 'No such path: /docs lists them.'),
  http_method_not_allowed: spec(43040, 405, 'Method not allowed', '/docs lists the methods of this path.'),
  quota_exceeded: spec(
    43041,
    403,
    'Quota exceeded',
    'Delete what you no longer need, or ask the operator for a larger quota.',
  ),
  unsupported_media_type: spec(
    43042,
    415,
    'Unsupported media type',
    'Send the Content-Type that /docs names for this path.',
  ),
  conflict: spec(43043, 409, 'Conflict', 'See detail.'),
  too_many_failures: spec(
    43044,
    429,
    'Too many failed attempts',
    'Wait for Retry-After, then use a valid token.',
  ),
  headers_too_large: spec(43045, 431, 'Headers too large', 'Send less than header_bytes of headers.'),
  configuration: spec(
    43046,
    500,
    'Bad configuration',
    'Mend the option that detail names; isolambda serve --help lists all.',
  ),
  store_unavailable: spec(
    43050,
    503,
    'Store does not answer',
    'Lambdas go on being served; changes must wait for the database. Send the request again after Retry-After.',
  ),
  task_not_found: spec(43047, 404, 'Task not found', 'Check the id: GET /1/tasks lists yours.'),
} as const satisfies Record<string, ErrorSpec>;

export const ERRORS = { ...INVOCATION_ERRORS, ...API_ERRORS } as const;
export type ErrorName = keyof typeof ERRORS;
export const ERROR_NAMES = Object.keys(ERRORS) as ErrorName[];
