import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  base64Texts,
  binaryStrings,
  LABELS,
  strings,
  utf16Sequences,
  utf8Sequences,
} from '../data/web/encodings.ts';
import { startWebIsolate } from './web-isolate.ts';

const DOUBLE_MARK = [0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf];

const isolate = await startWebIsolate();

test('UTF-8 decodes as in Node, loose and fatal, with and without its byte order mark', async () => {
  const count = await isolate.same(
    (inputs) =>
      inputs.map((bytes) =>
        [{}, { fatal: true }, { ignoreBOM: true }, { fatal: true, ignoreBOM: true }].map((options) => {
          try {
            return new TextDecoder('utf-8', options).decode(new Uint8Array(bytes));
          } catch (error) {
            return { threw: (error as Error).name };
          }
        }),
      ),
    utf8Sequences(),
  );
  assert.ok(count > 200, `only ${count} sequences`);
});

test('UTF-8 that is split anywhere decodes like the whole', async () => {
  await isolate.same(
    (inputs) =>
      inputs.map((bytes) => {
        const results: unknown[] = [];
        for (let cut = 0; cut <= bytes.length; cut++) {
          for (const fatal of [false, true]) {
            const decoder = new TextDecoder('utf-8', { fatal });
            try {
              const first = decoder.decode(new Uint8Array(bytes.slice(0, cut)), { stream: true });
              results.push([
                first,
                decoder.decode(new Uint8Array(bytes.slice(cut)), { stream: true }),
                decoder.decode(),
              ]);
            } catch (error) {
              results.push((error as Error).name);
            }
          }
        }
        return results;
      }),
    // Split inside the first of two marks, Node drops both; see the next test.
    utf8Sequences().filter((bytes) => bytes.join() !== DOUBLE_MARK.join()),
  );
});

test('of two byte order marks one is dropped, wherever they are split', async () => {
  const texts = await isolate.run(
    (bytes) =>
      bytes.map((_, cut) => {
        const decoder = new TextDecoder();
        const first = decoder.decode(new Uint8Array(bytes.slice(0, cut)), { stream: true });
        return first + decoder.decode(new Uint8Array(bytes.slice(cut)));
      }),
    DOUBLE_MARK,
  );
  assert.deepEqual(texts, Array<string>(DOUBLE_MARK.length).fill('\ufeff'));
});

test('a decoder serves again after its stream has ended', async () => {
  await isolate.same(
    (inputs) =>
      inputs.map((bytes) => {
        const decoder = new TextDecoder();
        const all = new Uint8Array(bytes);
        return [
          decoder.decode(all),
          decoder.decode(all, { stream: true }) + decoder.decode(),
          decoder.decode(all),
        ];
      }),
    utf8Sequences(),
  );
});

test('UTF-16LE decodes as in Node, whole and byte by byte', async () => {
  await isolate.same(
    (inputs) =>
      inputs.map((bytes) =>
        [false, true].map((fatal) => {
          const answers: unknown[] = [];
          try {
            answers.push(new TextDecoder('utf-16le', { fatal }).decode(new Uint8Array(bytes)));
          } catch (error) {
            answers.push((error as Error).name);
          }
          const decoder = new TextDecoder('utf-16le', { fatal });
          try {
            let text = '';
            for (const byte of bytes) text += decoder.decode(new Uint8Array([byte]), { stream: true });
            answers.push(text + decoder.decode());
          } catch (error) {
            answers.push((error as Error).name);
          }
          return answers;
        }),
      ),
    utf16Sequences(),
  );
});

test('labels name the same encodings as in Node', async () => {
  await isolate.same(
    (labels) =>
      labels.map((label) => {
        try {
          const decoder = new TextDecoder(label);
          return [decoder.encoding, decoder.fatal, decoder.ignoreBOM];
        } catch (error) {
          return (error as Error).name;
        }
      }),
    LABELS.filter((label) => label !== 'x-user-defined' && label !== 'iso-8859-8-i'),
  );
});

test('single-byte encodings decode by the tables of the standard', async () => {
  // Not compared with Node for windows-1252, where its releases differ; these are the standard's index.
  const decoded = await isolate.run(
    () =>
      ['latin1', 'windows-1252', 'iso-8859-15', 'koi8-r'].map((label) =>
        new TextDecoder(label).decode(new Uint8Array([0x41, 0x80, 0x9f, 0xa4, 0xe9, 0xff])),
      ),
    null,
  );
  assert.deepEqual(decoded, ['A€Ÿ¤éÿ', 'A€Ÿ¤éÿ', 'A\u0080\u009f€éÿ', 'A─÷╓ИЪ']);
});

test('East Asian encodings are refused with a RangeError, as the docs say', async () => {
  const names = await isolate.run(
    () =>
      ['shift_jis', 'gbk', 'big5', 'euc-kr', 'euc-jp', 'iso-2022-jp', 'gb18030'].map((label) => {
        try {
          return new TextDecoder(label).encoding;
        } catch (error) {
          return (error as Error).name;
        }
      }),
    null,
  );
  assert.deepEqual(new Set(names), new Set(['RangeError']));
});

test('strings encode as in Node, lone surrogates included', async () => {
  await isolate.same(
    (inputs) =>
      inputs.map((text) => {
        const into = [0, 1, 2, 3, 4, 7].map((size) => {
          const target = new Uint8Array(size);
          return [new TextEncoder().encodeInto(text, target), [...target]];
        });
        return [[...new TextEncoder().encode(text)], into];
      }),
    strings(),
  );
});

test('other buffers, offsets and bad arguments are taken as in Node', async () => {
  await isolate.same(() => {
    const bytes = new TextEncoder().encode('xhéllo');
    const decode = (input?: unknown): unknown => {
      try {
        return new TextDecoder().decode(input as Uint8Array);
      } catch (error) {
        return (error as Error).name;
      }
    };
    const call = (work: () => unknown): unknown => {
      try {
        return work();
      } catch (error) {
        return (error as Error).name;
      }
    };
    return [
      decode(bytes.buffer.slice(0, bytes.length)),
      decode(new DataView(bytes.buffer, 1, 3)),
      decode(bytes.subarray(2)),
      decode(new Uint16Array([0x6968])),
      decode(),
      decode(null),
      decode('text'),
      decode([1]),
      call(() => new TextEncoder().encodeInto('a', [] as never)),
      call(() => (TextEncoder as object as () => void)()),
      call(() => Object.prototype.toString.call(new TextEncoder())),
      new TextEncoder().encode().length,
      new TextEncoder().encode(undefined).length,
      [...new TextEncoder().encode(null as never)],
    ];
  }, null);
});

test('atob and btoa give what Node gives, errors by name', async () => {
  const attempt = (inputs: string[]): unknown[] =>
    inputs.map((text) =>
      [atob, btoa].map((convert) => {
        try {
          return convert(text);
        } catch (error) {
          return { threw: (error as Error).name, code: (error as DOMException).code };
        }
      }),
    );
  assert.ok((await isolate.same(attempt, base64Texts())) > 100);
  await isolate.same(attempt, binaryStrings());
});

test('megabytes go through each codec unchanged', async () => {
  const ok = await isolate.run(() => {
    const text = 'aé€\u{1f600} plain text follows here; '.repeat(60_000);
    const ascii = 'plain ascii '.repeat(200_000);
    const back = new TextDecoder().decode(new TextEncoder().encode(text)) === text;
    const plain = new TextDecoder().decode(new TextEncoder().encode(ascii)) === ascii;
    return [back, plain, atob(btoa(ascii)) === ascii];
  }, null);
  assert.deepEqual(ok, [true, true, true]);
});
