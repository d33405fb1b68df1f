import type { FastifyRequest } from 'fastify';
import type { IncomingMessage } from 'node:http';
import { IsolambdaError } from '../../errors/error.ts';
import { tooLarge } from '../../invoke/invoke.ts';

const NO_BODY = Buffer.alloc(0);

/** Collects a body as opaque bytes, up to the lambda's `request_bytes`; more is refused before it is held. */
export function collectBody(
  request: FastifyRequest,
  payload: IncomingMessage,
  done: (error: Error | null, body?: Buffer) => void,
): void {
  const limit = request.lambda?.active?.limits.request_bytes ?? 0;
  const declared = Number(payload.headers['content-length'] ?? 0);
  if (declared > limit) return done(refusal(declared, limit));
  const chunks: Buffer[] = [];
  let bytes = 0;
  payload.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > limit) {
      payload.removeAllListeners('data').removeAllListeners('end').resume();
      return done(refusal(bytes, limit));
    }
    chunks.push(chunk);
  });
  payload.on('end', () =>
    done(
      null,
      chunks.length === 0 ? NO_BODY : chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, bytes),
    ),
  );
  payload.on('error', () =>
    done(new IsolambdaError('canceled', 'the connection broke before the body was whole')),
  );
}

const refusal = (bytes: number, limit: number): IsolambdaError =>
  new IsolambdaError('request_too_large', tooLarge(bytes, limit).detail);
