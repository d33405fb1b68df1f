import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  encodeFrame,
  FrameDecoder,
  FrameError,
  FrameType,
  type ByteChunks,
} from '../../src/protocol/frame.ts';
import { FrameWriter } from '../../src/protocol/frame-writer.ts';
import { parseRunnerHead, runnerFrameName } from '../../src/protocol/messages.ts';
import { area } from './runs.ts';

const { holds } = area(4);

const u32 = fc.nat({ max: 0xffffffff });
const frame = fc.record(
  {
    type: fc.constantFrom(...Object.values(FrameType)),
    isolate: u32,
    id: u32,
    aux: u32,
    head: fc.string({ unit: 'binary', maxLength: 200 }).map((text) => text.toWellFormed()),
    body: fc.oneof(
      { weight: 9, arbitrary: fc.uint8Array({ maxLength: 300 }) },
      // Longer than any block that frames are put together in: its bytes are told by their number alone.
      { weight: 1, arbitrary: fc.nat({ max: 80_000 }).map((length) => new Uint8Array(length).fill(length)) },
    ),
  },
  { noNullPrototype: true },
);

function pieces(body: Uint8Array, cuts: Iterator<number>): ByteChunks {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < body.length;) {
    const size = cuts.next().value as number;
    chunks.push(body.subarray(at, at + size));
    at += size;
  }
  return { length: body.length, chunks };
}

test('frames come out as they went in, however the bytes are cut', () => {
  holds(
    fc.property(
      fc.array(frame, { maxLength: 5 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 9_000 })),
      fc.boolean(),
      (frames, cuts, inPieces) => {
        const bytes = Buffer.concat(
          frames.flatMap(({ type, isolate, id, aux, head, body }) =>
            encodeFrame(type, isolate, id, aux, head, inPieces ? pieces(body, cuts) : body),
          ),
        );
        const decoder = new FrameDecoder(1_000_000);
        const out: unknown[] = [];
        for (let at = 0; at < bytes.length;) {
          const size = cuts.next().value as number;
          for (const got of decoder.push(bytes.subarray(at, at + size)))
            out.push({ ...got, body: new Uint8Array(got.body) });
          at += size;
        }
        assert.deepEqual(out, frames);
        assert.equal(decoder.pendingBytes, 0);
      },
    ),
  );
});

const outgoing = fc.record({
  frame,
  asText: fc.boolean(),
  head: fc.oneof(
    fc.string({ unit: 'binary', maxLength: 9_000 }),
    fc.constantFrom('\ud800', '\u20ac'.repeat(9_000)),
  ),
  take: fc.boolean(),
  inPieces: fc.boolean(),
});

test('a writer’s bytes are those of the frames one by one, and what was taken stays as it was', () => {
  holds(
    fc.property(
      fc.array(outgoing, { maxLength: 12 }),
      fc.constantFrom(1_024, 65_536),
      (frames, slabBytes) => {
        const writer = new FrameWriter(slabBytes);
        const taken: Uint8Array[] = [];
        const wanted: Uint8Array[] = [];
        for (const { frame: given, asText, head, take, inPieces } of frames) {
          const body = asText ? Buffer.from(given.body).toString('latin1') : given.body;
          const chunks =
            typeof body === 'string' || !inPieces ? body : { length: body.length, chunks: [body] };
          writer.add(given.type, given.isolate, given.id, given.aux, head, chunks);
          wanted.push(...encodeFrame(given.type, given.isolate, given.id, given.aux, head, body));
          assert.equal(writer.empty, false);
          if (take) taken.push(...writer.take());
        }
        taken.push(...writer.take());
        assert.equal(writer.empty, true);
        assert.ok(Buffer.concat(taken).equals(Buffer.concat(wanted)));
      },
    ),
  );
});

test('hostile bytes give frames or a FrameError, and never more is held than one frame may have', () => {
  holds(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }), (chunks) => {
      const decoder = new FrameDecoder(1_000);
      try {
        for (const chunk of chunks) {
          for (const got of decoder.push(Buffer.from(chunk)))
            parseRunnerHead(runnerFrameName(got.type), got.head);
          assert.ok(decoder.pendingBytes <= 1_004);
        }
      } catch (error) {
        assert.ok(error instanceof FrameError, String(error));
      }
    }),
  );
});

test('hostile heads give a message of the protocol or a FrameError', () => {
  const names = [
    'ready',
    'loaded',
    'loadFailed',
    'result',
    'log',
    'bridgeCall',
    'isolateGone',
    'pong',
    'unloaded',
  ] as const;
  holds(
    fc.property(fc.constantFrom(...names), fc.oneof(fc.json(), fc.string()), (name, head) => {
      try {
        assert.equal(typeof parseRunnerHead(name, head), 'object');
      } catch (error) {
        assert.ok(error instanceof FrameError, String(error));
      }
    }),
  );
});

test('a frame longer than allowed is refused by its first four bytes', () => {
  const decoder = new FrameDecoder(100);
  assert.throws(() => [...decoder.push(Buffer.from([101, 0, 0, 0]))], FrameError);
  assert.throws(() => [...new FrameDecoder(100).push(Buffer.from([5, 0, 0, 0]))], FrameError);
});
