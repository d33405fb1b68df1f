/** One way from an error to a reply: whatever was thrown, the body comes from the table, and no stack leaves the host. */
import type {
  FastifyError,
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  FastifyServerOptions,
} from 'fastify';
import type { Socket } from 'node:net';
import { IsolambdaError } from '../../errors/error.ts';
import { inOneSentence, requestProblems } from '../../schemas/check.ts';
import { createRouteBook } from './route-book.ts';

/**
 * Puts the error handler and the handler of unknown paths in place. Call it before any route is added:
 * it notes the routes, so that a known path with another method is 405 with `Allow`.
 */
export function installErrorHandler(app: FastifyInstance, log: ErrorLog = app.log): void {
  const book = createRouteBook();
  app.addHook('onRoute', ({ method, url }) => book.add(method, url));
  app.setErrorHandler((error, request, reply) => {
    const told = toIsolambdaError(error);
    // The caller sees a request id; what happened is for the host's log.
    if (told.code === 'internal')
      log.error({ err: error, request_id: request.requestId, method: request.method }, 'request failed');
    return renderError(told, reply);
  });
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0]!;
    const allow = book.methodsOf(path);
    const error =
      allow.length > 0 && !allow.includes(request.method)
        ? new IsolambdaError('http_method_not_allowed', `${request.method} ${shown(path)}`, {
            allow: allow.join(', '),
          })
        : new IsolambdaError('not_found', `no path ${shown(path)}`);
    return renderError(error, reply);
  });
}

/** Where faults of the host are told. */
export interface ErrorLog {
  error(fields: object, message: string): void;
}

/** Options of `fastify(...)` for what goes wrong before a route is found. */
export const errorServerOptions = {
  frameworkErrors(error: FastifyError, _request: FastifyRequest, reply: FastifyReply): void {
    void renderError(toIsolambdaError(error), reply);
  },
  clientErrorHandler(error: Error & { readonly code?: string }, socket: Socket): void {
    // A peer that is gone can't be told anything.
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
      return;
    }
    const refused = ofParser(error);
    const body = JSON.stringify(refused.body());
    socket.end(
      `HTTP/1.1 ${refused.status} ${PARSER_REASONS[refused.status] ?? 'Error'}\r\n` +
        `content-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\n` +
        `connection: close\r\n\r\n${body}`,
    );
  },
} satisfies FastifyServerOptions;

const PARSER_REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  431: 'Request Header Fields Too Large',
};

function ofParser(error: Error & { readonly code?: string }): IsolambdaError {
  if (error.code === 'HPE_HEADER_OVERFLOW')
    return new IsolambdaError('headers_too_large', 'the headers of the request are larger than header_bytes');
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new IsolambdaError('bad_request', 'the request did not arrive in time');
  return new IsolambdaError('bad_request', 'what was sent is not HTTP/1.1');
}

function renderError(error: IsolambdaError, reply: FastifyReply): FastifyReply {
  if (error.retryAfterMs !== undefined)
    reply.header('retry-after', String(Math.max(1, Math.ceil(error.retryAfterMs / 1_000))));
  if (error.allow !== undefined) reply.header('allow', error.allow);
  if (error.code === 'unauthorized') reply.header('www-authenticate', 'Bearer realm="isolambda"');
  // A handler may have set the type of the body that it meant to send.
  reply.removeHeader('content-disposition').removeHeader('etag');
  reply.serializer(JSON.stringify);
  return reply.code(error.status).type('application/json; charset=utf-8').send(error.body());
}

/** The parts of Fastify's request, as its validation errors name them. */
const PARTS: Readonly<Record<string, string>> = { querystring: 'query', params: 'path', headers: 'headers' };

/** Any error as one of the table. What is not known is the host's fault, and its text stays here. */
export function toIsolambdaError(error: unknown): IsolambdaError {
  if (error instanceof IsolambdaError) return error;
  if (!(error instanceof Error)) return internal(error);
  const { code, statusCode, validation, validationContext } = error as FastifyError;
  if (validation) {
    const where = PARTS[validationContext ?? ''] ?? validationContext ?? 'body';
    const problems = requestProblems(validation, where);
    return new IsolambdaError('bad_request', inOneSentence(problems), { problems });
  }
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new IsolambdaError('request_too_large', 'the body is larger than this path takes');
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
    case 'FST_ERR_CTP_EMPTY_TYPE':
    case 'FST_INVALID_MULTIPART_CONTENT_TYPE':
      return new IsolambdaError('unsupported_media_type', 'this path does not take that Content-Type');
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
      return new IsolambdaError('bad_request', 'body: is empty, where JSON was announced');
    case 'FST_ERR_NOT_FOUND':
      return new IsolambdaError('not_found', 'no such path');
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return new IsolambdaError('not_found', 'no such path: a part of it is too long to be an id');
    case 'FST_MP_PREMATURE_CLOSE':
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new IsolambdaError('bad_request', 'body: ended before it was whole');
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
      return new IsolambdaError('bad_request', 'body: is not JSON');
  }
  // The JSON parser's errors, for one, come with a status and a message that says where the text breaks.
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new IsolambdaError('bad_request', shown(error.message));
  return internal(error);
}

const internal = (cause: unknown): IsolambdaError =>
  new IsolambdaError('internal', 'the host failed at this request', { cause });

/** What a client sent may be long, and end up in a log. */
const shown = (text: string): string => (text.length > 256 ? `${text.slice(0, 256)}...` : text);
