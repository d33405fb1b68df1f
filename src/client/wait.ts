import type { Status } from '../schemas/status.ts';
import { LambdaStateError, LambdaTimeoutError } from './errors.ts';

export interface WaitOptions {
  /** 30 seconds by default. */
  readonly timeoutMs?: number | undefined;
  /** Wait until this version serves; by default until any does and no update is under way. */
  readonly version?: number | undefined;
  readonly accountId?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 1_000;

/** Asks again and again, each pause half as long again as the one before. */
export async function pollUntilRunning(
  lambdaId: string,
  read: (remainingMs: number) => Promise<Status>,
  { timeoutMs = 30_000, version, signal }: WaitOptions,
): Promise<Status> {
  const deadline = performance.now() + timeoutMs;
  let pauseMs = FIRST_PAUSE_MS;
  let last = 'not heard of';
  const tooLate = (): LambdaTimeoutError =>
    new LambdaTimeoutError(`lambda ${lambdaId} is ${last}, not running, after ${timeoutMs} ms`, timeoutMs);
  for (;;) {
    signal?.throwIfAborted();
    const leftForReply = Math.max(1, Math.ceil(deadline - performance.now()));
    const status = await read(leftForReply).catch((error: unknown) => {
      throw error instanceof LambdaTimeoutError ? tooLate() : error;
    });
    last = status.status;
    const settled = status.update === null;
    if (status.status === 'running' && settled && (version === undefined || status.version === version))
      return status;
    if (settled && (status.status === 'failed' || status.status === 'disabled'))
      throw new LambdaStateError(lambdaId, status.status, status.detail ?? '');
    if (status.status === 'running' && settled && version !== undefined)
      throw new LambdaStateError(
        lambdaId,
        'running',
        `version ${version} does not serve, version ${status.version} does: the build log of ${version} may say why`,
      );
    const leftMs = deadline - performance.now();
    if (leftMs <= 0) throw tooLate();
    await pause(Math.min(pauseMs, leftMs), signal);
    pauseMs = Math.min(pauseMs * 1.5, LONGEST_PAUSE_MS);
  }
}

export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal?.addEventListener('abort', stop, { once: true });
  });
}
