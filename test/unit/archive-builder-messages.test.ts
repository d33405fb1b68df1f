import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  decodeRequest,
  encodeRequest,
  encodeResult,
  mostMapBytes,
  mostResultBytes,
} from '../../src/archive/builder-frames.ts';
import { parseResult } from '../../src/archive/builder-messages.ts';
import type { BuildResult } from '../../src/archive/types.ts';
import { FrameDecoder, FrameError, FrameType, encodeFrame, type Frame } from '../../src/protocol/frame.ts';

const BUNDLE_BYTES = 1_000;
const decode = (buffers: readonly Uint8Array[]): Frame => {
  const [frame] = [...new FrameDecoder(mostResultBytes(BUNDLE_BYTES)).push(Buffer.concat(buffers))];
  assert.ok(frame);
  return frame;
};
const BUILT: BuildResult = {
  ok: true,
  problems: [{ severity: 'warning', rule: 'r', message: 'm', mend: 'n', file: 'a.ts', line: 1, column: 1 }],
  bundle: {
    code: Buffer.from('code'),
    map: Buffer.from('map'),
    lambdaConfig: { a: [1] },
    handler: 'main',
    queueName: 'q',
  },
};
const HEAD = { ok: true, problems: [], lambdaConfig: null, handler: 'main', codeBytes: 4 };
const parse = (head: unknown, body = 'codemap', type: FrameType = FrameType.loaded): BuildResult =>
  parseResult(
    decode(encodeFrame(type, 0, 0, 0, typeof head === 'string' ? head : JSON.stringify(head), body)),
    BUNDLE_BYTES,
  );

describe('what a builder child may say', () => {
  it('a request and both results come through as they were', () => {
    const request = {
      archive: Buffer.from('zip'),
      type: 'rpc',
      handler: 'a:b',
      limits: { archive_bytes: 1, unpacked_bytes: 2, archive_files: 3, bundle_bytes: 4 },
    } as const;
    assert.deepEqual(decodeRequest(decode(encodeRequest(request))), request);
    assert.deepEqual(parseResult(decode(encodeResult(BUILT)), BUNDLE_BYTES), BUILT);
    const refused: BuildResult = {
      ok: false,
      problems: [{ severity: 'error', rule: 'r', message: 'm', mend: 'n' }],
    };
    assert.deepEqual(parseResult(decode(encodeResult(refused)), BUNDLE_BYTES), refused);
  });
  const deep = (depth: number): unknown => (depth === 0 ? {} : { a: deep(depth - 1) });
  const wrong: Record<string, () => unknown> = {
    'another frame': () => parse(HEAD, 'codemap', FrameType.ready),
    'no JSON': () => parse('{'),
    'no result': () => parse([]),
    'a refusal without a reason': () => parse({ ok: false, problems: [] }),
    'a bundle in spite of an error': () =>
      parse({ ...HEAD, problems: [{ severity: 'error', rule: 'r', message: '', mend: '' }] }),
    'code beyond the body': () => parse({ ...HEAD, codeBytes: 8 }),
    'no code': () => parse({ ...HEAD, codeBytes: 0 }),
    'code beyond the limit': () =>
      parse({ ...HEAD, codeBytes: BUNDLE_BYTES + 1 }, 'x'.repeat(BUNDLE_BYTES + 1)),
    'a map beyond the limit': () => parse(HEAD, 'x'.repeat(mostMapBytes(BUNDLE_BYTES) + 5)),
    'a handler that is no name': () => parse({ ...HEAD, handler: 'a-b' }),
    'a rule with other letters': () =>
      parse({ ...HEAD, problems: [{ severity: 'warning', rule: '<script>', message: '', mend: '' }] }),
    'a line that is none': () =>
      parse({ ...HEAD, problems: [{ severity: 'warning', rule: 'r', message: '', mend: '', line: 0 }] }),
    'too many problems': () =>
      parse({
        ok: false,
        problems: Array.from({ length: 101 }, () => ({
          severity: 'error',
          rule: 'r',
          message: '',
          mend: '',
        })),
      }),
    'a configuration that is no mapping': () => parse({ ...HEAD, lambdaConfig: [1] }),
    'a configuration that is too deep': () => parse({ ...HEAD, lambdaConfig: deep(100_0) }),
    'keys that nobody knows': () => parse({ ...HEAD, extra: 1 }),
  };
  for (const [name, run] of Object.entries(wrong)) it(`is not ${name}`, () => assert.throws(run, FrameError));
  it('sizes at their limits pass', () => {
    assert.ok(parse({ ...HEAD, codeBytes: BUNDLE_BYTES }, 'x'.repeat(BUNDLE_BYTES)).ok);
    assert.ok(parse(HEAD, 'x'.repeat(mostMapBytes(BUNDLE_BYTES) + 4)).ok);
    assert.ok(parse({ ...HEAD, lambdaConfig: deep(31) }).ok);
  });
});
