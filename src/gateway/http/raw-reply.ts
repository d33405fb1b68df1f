import type { ServerResponse } from 'node:http';
import { IsolambdaError, renderFailure, type ErrorBody } from '../../errors/error.ts';
import type { Failure, Reply } from '../../protocol/outcome.ts';

/** Up to this size a body goes out in one write with its headers, as text of one byte a character. */
const JOINED_BYTES = 16 * 1024;

/** What the lambda answered. Its headers were checked when they came out of the runner. */
export function sendReply(
  response: ServerResponse,
  { status, headers, body }: Reply,
  own: readonly string[],
): void {
  const bodyless = status === 204 || status === 304;
  response.writeHead(
    status,
    bodyless ? [...own, ...headers] : [...own, ...headers, 'content-length', String(body.length)],
  );
  if (bodyless || body.length === 0) response.end();
  else if (body.length <= JOINED_BYTES) response.end(asBuffer(body).toString('latin1'), 'latin1');
  else response.end(body);
}

export function sendFailure(response: ServerResponse, outcome: Failure, own: readonly string[]): void {
  const { status, body } = renderFailure(outcome);
  sendError(response, status, body, outcome, own);
}

/** An error before the lambda was reached. Anything but an error of the table is the host's fault, and its text stays here. */
export function sendThrown(response: ServerResponse, thrown: unknown, own: readonly string[]): void {
  const error =
    thrown instanceof IsolambdaError
      ? thrown
      : new IsolambdaError('internal', 'the host failed at this request', { cause: thrown });
  const challenge = error.code === 'unauthorized' ? ['www-authenticate', 'Bearer realm="isolambda"'] : [];
  sendError(response, error.status, error.body(), error, [...own, ...challenge]);
}

function sendError(
  response: ServerResponse,
  status: number,
  body: ErrorBody,
  { retryAfterMs, allow }: { retryAfterMs?: number | undefined; allow?: string | undefined },
  own: readonly string[],
): void {
  const text = JSON.stringify(body);
  const headers = [
    ...own,
    'content-type',
    'application/json; charset=utf-8',
    'content-length',
    String(Buffer.byteLength(text)),
  ];
  if (retryAfterMs !== undefined)
    headers.push('retry-after', String(Math.max(1, Math.ceil(retryAfterMs / 1_000))));
  if (allow !== undefined) headers.push('allow', allow);
  response.writeHead(status, headers).end(text);
}

const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
