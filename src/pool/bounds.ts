import type { Limits } from '../config/limits.ts';
import type { IsolateLimits } from '../protocol/messages.ts';
import type { RunnerBounds } from './runner-process.ts';

const MiB = 1024 * 1024;
/** JSON escapes a byte in up to six. */
const JSON_GROWTH = 6;
/** Heads besides headers: stacks, routes, a fetch's URL. */
const HEAD_BYTES = MiB;
/** Twice the largest frame in any second, and never less than what a few busy isolates say. */
const LEAST_SIDE_BYTES_PER_S = 64 * MiB;

/** What an account's runner may say, by its limits. */
export function boundsOf(limits: Limits): RunnerBounds {
  const bodyBytes = Math.max(limits.reply_bytes, limits.request_bytes, limits.log_bytes_per_s * JSON_GROWTH);
  const maxFrameBytes = bodyBytes + limits.header_bytes * JSON_GROWTH + HEAD_BYTES;
  return { maxFrameBytes, sideBytesPerS: Math.max(LEAST_SIDE_BYTES_PER_S, 2 * maxFrameBytes) };
}

/** The limits that a runner enforces itself. */
export function isolateLimitsOf(limits: Limits): IsolateLimits {
  return {
    memory_mb: limits.memory_mb,
    cpu_ms: limits.cpu_ms,
    startup_ms: limits.startup_ms,
    shutdown_ms: limits.shutdown_ms,
    reply_bytes: limits.reply_bytes,
    header_bytes: limits.header_bytes,
    log_line_bytes: limits.log_line_bytes,
    log_bytes_per_s: limits.log_bytes_per_s,
    fetches: limits.fetches,
    fetch_concurrency: limits.fetch_concurrency,
    fetch_bytes: limits.fetch_bytes,
  };
}
