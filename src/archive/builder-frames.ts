/** What host and builder child say to each other, in the frames of src/protocol: `ready` and `loaded` up, `load` down. */
import { FrameError, FrameType, encodeFrame, type Frame } from '../protocol/frame.ts';
import type { BuildRequest, BuildResult } from './types.ts';

/** A source map may be larger than the code that it maps; more than this is not kept. */
export const mostMapBytes = (bundleBytes: number): number => 2 * bundleBytes + 1024 * 1024;
export const MOST_HEAD_BYTES = 4 * 1024 * 1024;

/** The largest frame that a child may send for a request. */
export const mostResultBytes = (bundleBytes: number): number =>
  bundleBytes + mostMapBytes(bundleBytes) + MOST_HEAD_BYTES;

export function encodeRequest({ archive, ...head }: BuildRequest): Uint8Array[] {
  return encodeFrame(FrameType.load, 0, 0, 0, JSON.stringify(head), archive);
}

/** In the child, which trusts its host. */
export function decodeRequest(frame: Frame): BuildRequest {
  if (frame.type !== FrameType.load) throw new FrameError(`frame type ${frame.type} instead of a request`);
  return { ...(JSON.parse(frame.head) as Omit<BuildRequest, 'archive'>), archive: frame.body };
}

export const encodeReady = (): Uint8Array[] => encodeFrame(FrameType.ready, 0, 0, 0, '{}');

/** The head is the result without its bytes; the body is the code, followed by the source map. */
export function encodeResult(result: BuildResult): Uint8Array[] {
  if (!result.ok) return encodeFrame(FrameType.loaded, 0, 0, 0, JSON.stringify(result));
  const { code, map, ...bundle } = result.bundle;
  const head = { ok: true, problems: result.problems, ...bundle, codeBytes: code.length };
  return encodeFrame(FrameType.loaded, 0, 0, 0, JSON.stringify(head), Buffer.concat([code, map]));
}
