import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startWebIsolate } from './web-isolate.ts';

const isolate = await startWebIsolate();

test('backpressure: pull is asked as often as in Node', async () => {
  await isolate.same(async () => {
    const log: unknown[] = [];
    for (const highWaterMark of [0, 1, 3]) {
      let pulls = 0;
      const stream = new ReadableStream<number>(
        {
          pull(controller) {
            controller.enqueue(pulls++);
            log.push(['desired', controller.desiredSize]);
          },
        },
        { highWaterMark },
      );
      await new Promise((resolve) => setTimeout(resolve, 1));
      log.push(['idle', pulls]);
      const reader = stream.getReader();
      log.push((await reader.read()).value, (await reader.read()).value);
      await new Promise((resolve) => setTimeout(resolve, 1));
      log.push(['after two', pulls]);
    }
    return log;
  }, null);
});

test('a writable stream queues, signals readiness, closes and aborts as in Node', async () => {
  await isolate.same(async () => {
    const log: unknown[] = [];
    const sink = {
      start: () => void log.push('start'),
      write: (chunk: unknown) => void log.push(['write', chunk]),
      close: () => void log.push('close'),
      abort: (reason: unknown) => void log.push(['abort', reason]),
    };
    const writer = new WritableStream(sink, new CountQueuingStrategy({ highWaterMark: 2 })).getWriter();
    log.push(writer.desiredSize);
    void writer.write('a');
    void writer.write('b');
    log.push(writer.desiredSize);
    await writer.ready;
    log.push(writer.desiredSize);
    await writer.close();
    log.push(await writer.write('c').catch((error: Error) => error.name));
    const aborted = new WritableStream(sink).getWriter();
    await aborted.abort('why');
    log.push(await aborted.closed.catch((reason: unknown) => reason));
    const failing = new WritableStream({
      write() {
        throw new RangeError('full');
      },
    }).getWriter();
    log.push(await failing.write(1).catch((error: Error) => error.name));
    log.push(await failing.closed.catch((error: Error) => error.name));
    return log;
  }, null);
});

test('tee, pipeTo, pipeThrough and transforms carry chunks, ends and errors as in Node', async () => {
  await isolate.same(async () => {
    const log: unknown[] = [];
    const from = (chunks: unknown[]): ReadableStream => {
      const left = [...chunks];
      return new ReadableStream({
        pull(controller) {
          if (left.length === 0) controller.close();
          else controller.enqueue(left.shift());
        },
      });
    };
    const all = async (stream: ReadableStream): Promise<unknown[]> => {
      const seen: unknown[] = [];
      for await (const chunk of stream) seen.push(chunk);
      return seen;
    };
    const [a, b] = from([1, 2, 3]).tee();
    log.push(await all(a), await all(b));
    const doubled = from([1, 2]).pipeThrough(
      new TransformStream<number, number>({
        transform(chunk, controller) {
          controller.enqueue(chunk);
          controller.enqueue(chunk * 10);
        },
        flush(controller) {
          controller.enqueue(-1);
        },
      }),
    );
    log.push(await all(doubled));
    const written: unknown[] = [];
    const source = from(['x', 'y']);
    await source.pipeTo(new WritableStream({ write: (chunk) => void written.push(chunk) }));
    log.push(written, source.locked);
    const broken = new ReadableStream({
      start(controller) {
        controller.error(new RangeError('source'));
      },
    });
    const sunk: unknown[] = [];
    const sink = new WritableStream({ abort: (reason: Error) => void sunk.push(reason.name) });
    log.push(await broken.pipeTo(sink).catch((error: Error) => error.name), sunk);
    const cancelled: unknown[] = [];
    const endless = new ReadableStream({
      pull: (controller) => controller.enqueue(1),
      cancel: (reason: unknown) => void cancelled.push(reason),
    });
    const controller = new AbortController();
    const piping = endless.pipeTo(new WritableStream({ write: () => controller.abort('enough') }), {
      signal: controller.signal,
    });
    log.push(await piping.catch((reason: unknown) => reason), cancelled);
    return log;
  }, null);
});

test('cancel, errors, locks and readers act as in Node', async () => {
  await isolate.same(async () => {
    const log: unknown[] = [];
    const name = (work: () => unknown): unknown => {
      try {
        return work();
      } catch (error) {
        return (error as Error).name;
      }
    };
    const stream = new ReadableStream({ cancel: (reason: unknown) => void log.push(['cancelled', reason]) });
    const reader = stream.getReader();
    log.push(
      stream.locked,
      name(() => stream.getReader()),
      await stream.cancel().catch((error: Error) => error.name),
    );
    await reader.cancel('bye');
    log.push((await reader.read()).done, await reader.closed);
    reader.releaseLock();
    log.push(stream.locked, await reader.closed.catch((error: Error) => error.name));
    const failed = new ReadableStream({
      pull() {
        throw new SyntaxError('pull');
      },
    });
    log.push(
      await failed
        .getReader()
        .read()
        .catch((error: Error) => error.name),
    );
    for await (const chunk of ReadableStream.from(['a', Promise.resolve('b')])) log.push(chunk);
    const early = new ReadableStream({
      pull: (controller) => controller.enqueue(1),
      cancel: () => void log.push('early'),
    });
    for await (const chunk of early) {
      log.push(chunk);
      break;
    }
    return log;
  }, null);
});

test('byte streams serve readers that bring their own buffer', async () => {
  await isolate.same(async () => {
    let next = 0;
    const stream = new ReadableStream({
      type: 'bytes',
      pull(controller) {
        const request = controller.byobRequest;
        if (request?.view) {
          const view = new Uint8Array(request.view.buffer, request.view.byteOffset, request.view.byteLength);
          view[0] = ++next;
          request.respond(1);
        } else controller.enqueue(new Uint8Array([++next, 100]));
      },
    });
    const byob = stream.getReader({ mode: 'byob' });
    const first = await byob.read(new Uint8Array(4));
    byob.releaseLock();
    const plain = await stream.getReader().read();
    return [first.done, [...(first.value ?? [])], plain.done, [...(plain.value ?? [])]];
  }, null);
});

test('text streams split and join code points as in Node', async () => {
  await isolate.same(async () => {
    const collect = async (stream: ReadableStream): Promise<unknown[]> => {
      const seen: unknown[] = [];
      for await (const chunk of stream)
        seen.push(typeof chunk === 'string' ? chunk : [...(chunk as Uint8Array)]);
      return seen;
    };
    const emoji = '\u{1f600}';
    const encoded = ReadableStream.from([
      `a${emoji[0]}`,
      `${emoji[1]}b`,
      '',
      '\ud83d',
      'x',
      emoji[0],
    ]).pipeThrough(new TextEncoderStream());
    const bytes = [...new TextEncoder().encode(`é${emoji}`)].map((byte) => new Uint8Array([byte]));
    const decoded = ReadableStream.from(bytes).pipeThrough(new TextDecoderStream());
    const fatal = ReadableStream.from([new Uint8Array([0xff])]).pipeThrough(
      new TextDecoderStream('utf-8', { fatal: true }),
    );
    const cut = ReadableStream.from([new Uint8Array([0xe2, 0x82])]).pipeThrough(new TextDecoderStream());
    const { encoding } = new TextDecoderStream('utf-16');
    return [
      (await collect(encoded)).flat(),
      (await collect(decoded)).join(''),
      await collect(fatal).catch((error: Error) => error.name),
      await collect(cut),
      encoding,
    ];
  }, null);
});

test('a body knows by the library whether its stream was disturbed', async () => {
  const seen = await isolate.run(async () => {
    const used: boolean[] = [];
    const stream = new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(1)) });
    const response = new Response(stream);
    used.push(response.bodyUsed);
    const reader = stream.getReader();
    used.push(response.bodyUsed);
    await reader.read();
    used.push(response.bodyUsed);
    const cancelled = new Response(new ReadableStream());
    await cancelled.body?.cancel();
    used.push(cancelled.bodyUsed);
    return used;
  }, null);
  assert.deepEqual(seen, [false, false, true, true]);
});

test('a long body streams in linear chunks that the reader may change', async () => {
  const seen = await isolate.run(async () => {
    const size = 3_000_000;
    const blob = new Blob([new Uint8Array(size).fill(7), 'end']);
    let total = 0;
    let largest = 0;
    for await (const chunk of blob.stream() as object as AsyncIterable<Uint8Array>) {
      total += chunk.length;
      largest = Math.max(largest, chunk.length);
      chunk.fill(0);
    }
    const again = await blob.bytes();
    const joined = await new Response(blob.stream()).bytes();
    return [total, largest, again[0], again[size], joined.length];
  }, null);
  assert.deepEqual(seen, [3_000_003, 65_536, 7, 101, 3_000_003]);
});
