/** Inputs for the encoding and base64 tests, written for this project; Node's own implementation is the oracle. */

/** Byte sequences of UTF-8: valid ones at every length's edge, and every kind of invalid one. */
export function utf8Sequences(): number[][] {
  const edges = [0, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xfffd, 0xffff, 0x10000, 0x10ffff].map((point) => [
    ...Buffer.from(String.fromCodePoint(point)),
  ]);
  const invalid = [
    [0x80], [0xbf], [0xc0, 0x80], [0xc1, 0xbf], [0xc2], [0xc2, 0x41], [0xdf, 0xc0], [0xe0, 0x80, 0x80], [0xe0, 0x9f, 0xbf], [0xe0, 0xa0],
    [0xe1, 0x80], [0xe1, 0x80, 0x41], [0xed, 0xa0, 0x80], [0xed, 0xbf, 0xbf], [0xef, 0xbf], [0xf0, 0x80, 0x80, 0x80], [0xf0, 0x8f, 0xbf, 0xbf],
    [0xf0, 0x90], [0xf0, 0x90, 0x80], [0xf0, 0x90, 0x80, 0x41], [0xf4, 0x90, 0x80, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xf8, 0x88, 0x80, 0x80, 0x80],
    [0xfe], [0xff], [0xfe, 0xff], [0xff, 0xfe], [0xc3, 0x28], [0xe2, 0x28, 0xa1], [0xe2, 0x82, 0x28], [0xf0, 0x28, 0x8c, 0xbc], [0xf0, 0x9f, 0x98], [0xf0, 0x9f, 0xf0, 0x9f],
  ];
  const marked = [[0xef, 0xbb, 0xbf], [0xef, 0xbb, 0xbf, 0x41], [0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf], [0xef, 0xbb], [0x41, 0xef, 0xbb, 0xbf], [0xef, 0xbb, 0x41]];
  const alone = [...edges, ...invalid, ...marked];
  return [[], ...alone, ...alone.map((bytes) => [0x61, ...bytes, 0x62]), ...invalid.flatMap((a) => edges.slice(2, 6).map((b) => [...a, ...b]))];
}

export function utf16Sequences(): number[][] {
  return [[], [0x41], [0x41, 0], [0x41, 0, 0x42], [0xff, 0xfe, 0x41, 0], [0xfe, 0xff, 0, 0x41], [0, 0xd8], [0, 0xdc], [0x3d, 0xd8, 0, 0xde], [0, 0xde, 0x3d, 0xd8], [0x3d, 0xd8, 0x41, 0], [0x3d, 0xd8, 0], [0x3d, 0xd8, 0x3d], [0, 0xd8, 0, 0xd8, 0, 0xdc], [0xff, 0xfe], [0xff], [0xfd, 0xff]];
}

/** Strings with every arrangement of surrogates around plain characters. */
export function strings(): string[] {
  const parts = ['a', '\u00e9', '\u0800', '\ud83d', '\ude00', '\ud83d\ude00', '\u0000', '\ufeff'];
  return ['', ...parts, ...parts.flatMap((a) => parts.map((b) => a + b)), ...parts.flatMap((a) => parts.map((b) => `x${a}${b}y`))];
}

export const LABELS = ['utf8', 'UTF-8', ' utf-8\n', 'unicode-1-1-utf-8', 'utf-16', 'utf-16le', 'ucs-2', 'utf-16be', 'latin1', 'iso-8859-1', 'ascii', 'us-ascii', 'windows-1252', 'l1',
  'iso-8859-2', 'latin2', 'iso-8859-15', 'koi8-r', 'windows-1251', 'windows-1250', 'macintosh', 'iso-8859-8-i', 'x-user-defined', 'replacement', 'utf-7', '', 'no-such', 'utf-8\u0000', 'ut f-8'];

export function base64Texts(): string[] {
  const pieces = ['', 'A', 'AA', 'AAA', 'AAAA', 'AAAAA', '/+', 'ab', 'abcd', '=', '==', 'A=', 'AA=', 'AA==', 'AA===', 'AAA=', 'AAA==', 'AAAA=', 'AAAA==', 'A===', '=A', 'A=A', 'A=A=', 'AA=A', 'AB==', 'AB', '-_', 'a-b_', '////', 'A\u00e9', 'ab\u0000', '\u2028', 'aGVsbG8=', 'aGVsbG8', 'aGVs bG8=', '\ta\nG\fV\rs', '\u000b', '\u00a0', 'a Q = =', ' = ', 'YQ', 'YR', 'YWI', 'YWJ'];
  return [...pieces, ...pieces.map((piece) => ` ${piece} `), ...pieces.map((piece) => `abcd${piece}`)];
}

export function binaryStrings(): string[] {
  const all = String.fromCharCode(...Array.from({ length: 256 }, (_, code) => code));
  return ['', 'a', 'ab', 'abc', 'abcd', all, all.slice(1), `${all}${all}`, '\u0100', 'a\u0100', '\ud83d\ude00', '\u00ff'];
}
