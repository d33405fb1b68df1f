/**
 * Inputs for the URL tests, written for this project after the sections of https://url.spec.whatwg.org; what each
 * must give is asked of Node's own implementation when the test runs.
 */

const SCHEMES = ['http:', 'https:', 'ws:', 'wss:', 'ftp:', 'file:', 'foo:', 'mailto:', 'data:', 'javascript:', 'HtTp:', 'a+b-c.1:'];
const AFTER_SCHEME = [
  '',
  '/',
  '//',
  '///',
  '//h',
  '//h/',
  '//h/p?q#f',
  '\\\\h\\p',
  '/\\h/p',
  'h',
  'h/p',
  '//u@h',
  '//u:p@h/',
  '//:p@h',
  '//@h',
  '//u@:1/',
  '//a@b@c/',
  '//h:0',
  '//h:80/',
  '//h:443/',
  '//h:21',
  '//h:65535',
  '//h:65536',
  '//h:8a',
  '//h: 80',
  '//h:',
  '//h/./a/../b/.',
  '//h/../../x',
  '//h/%2e%2E/y',
  '//h/a%2e./z',
  '//h//a///b',
  '//h/a b\tc\nd',
  '//h/ü?ü#ü',
  '//h/\u{1f600}',
  '//h/%zz%4',
  "//h/'\"<>`{}|^",
  "//h?'\"<>`{}|^",
  "//h#'\"<>`{}|^",
  '//h?a=b&c=%20+d',
  '//h/?#',
  '//h/#?',
  '//C:/x',
  '/C|/x/../..',
  '//h/C:/..',
  '//h/\ud800x',
];

const SINGLES = [
  '',
  ' ',
  '#',
  '?',
  '/',
  '//',
  'h',
  ':',
  '::',
  'a:',
  '1:',
  '-a:b',
  'a b:c',
  '  http://h/  ',
  '\u0000http://h/\u001f',
  'ht\ntp://h\t/',
  'http:\\\\h\\a\\..\\b',
  'http://user%40:p%3Aw@h/',
  "http://!$&'()*+,;=@h/",
  'http://u:p:q@h/',
  'http://h/%',
  'http://h/\\u0061',
  'blob:https://h/x',
  'blob:foo://h/x',
  'blob:',
  'about:blank',
  'data:text/plain,hi there  #  frag',
  'data:text/plain,  trailing   ',
  'non-special:opaque  ?q #f',
  'web+demo:/.//not-a-host/',
  'web+demo:/a/..//x',
  'file:///C|/a',
  'file://localhost/x',
  'file:C:/x',
  'file:\\\\h\\x',
  'file:///a/../../b',
  'file:#f',
  'urn:isbn:0-486-27557-4',
  'mailto:a@b?subject=x y',
  'http://h/a;b=c,d',
  'https://example.com:000080/',
  'http://[::1]:80/',
  'http://h:٣/',
  'https://x/?%ff%FE',
  'https://x/?\ud83d',
  'https://x/#\u0000',
];

/** Every scheme with every rest, and some that fit no grid. */
export function urls(): string[] {
  return [...SCHEMES.flatMap((scheme) => AFTER_SCHEME.map((rest) => scheme + rest)), ...SINGLES];
}

export function hosts(): string[] {
  const ipv4 = [
    '1.2.3.4', '1.2.3', '1.2', '1', '0', '256', '4294967295', '4294967296', '0x7f.1', '0X7F000001', '017700000001', '0x', '0x.0x',
    '1.2.3.256', '1.2.3.4.5', '1.2.3.4.', '1..2', '.1', '1.', '08', '0.08', '09.1.1.1', '1.0x100', '0xffffffff', '0x100000000', '1e3',
    'a.1', 'a.0x1', 'a.0xg', '1.a', '255.255.255.255', '0.0.0.0x0', '%31.2.3.4', '１.２.３.４', '1。2', '99999999999999999999',
  ];
  const ipv6 = [
    '[::]', '[::1]', '[1::]', '[1:2:3:4:5:6:7:8]', '[1:2:3:4:5:6:7::]', '[::2:3:4:5:6:7:8]', '[1:2:3:4:5:6:7:8:9]', '[1:2:3:4:5:6:7]',
    '[1::2::3]', '[:::1]', '[:1]', '[1:]', '[::1.2.3.4]', '[::ffff:127.0.0.1]', '[::1.2.3]', '[::1.2.3.256]', '[::01.2.3.4]', '[1.2.3.4]',
    '[::1.2.3.4:5]', '[00001::]', '[0001::]', '[g::]', '[::1%25eth0]', '[::1', '::1]', '[]', '[1:0:0:2:0:0:0:3]', '[0:0:1:0:0:1:0:0]',
    '[FFFF::ABCD]', '[1:2:0:4:5:6:7:8]', '[::1]x', 'x[::1]', '[v1.a]', '[2001:db8::ff00:42:8329]',
  ];
  const forbidden = Array.from({ length: 128 }, (_, code) => `a${String.fromCharCode(code)}b`);
  const percent = ['%41', '%00', '%20', '%2F', '%3A', '%40', '%25', '%', '%4', '%zz', 'a%C3%BCb', '%C3', '%EF%BC%85', 'ex%61mple.com', '%e2%80%8b', '%5B::1%5D'];
  const idna = [
    'ü.de', 'Ü.DE', 'faß.de', 'FASS.de', 'ςσ.gr', 'bücher.example', 'xn--bcher-kva.example', 'XN--BCHER-KVA.example', 'xn--', 'xn--a',
    'xn--zzzzzzzz', 'xn--fa-hia.de', 'xn--fass-.de', '日本語。ＪＰ', '日本語.jp', 'ａｂｃ.com', 'a\u00adb.com', '\u00ad', 'a\u200bb', 'a\u200cb', 'a\u200db',
    'क\u094d\u200dष', 'ا1.com', '1ا.com', 'אב.ג', 'a.אב', '☃.net', '💩.la', 'xn--ls8h.la', 'i\u0307.tr', 'İ.tr', 'ǅ.x', '\ufb01.x', '\u2474.x',
    '\u1e9e.de', '-a.x', 'a-.x', 'aa--bb.x', 'a..b', '.', '..', 'a.', 'ab\u0301.x', '\u0301a.x', '𝒶.x', '\ud800.x', '\u0660.x', '\u06f0\u0660.x', 'a・b',
    'xn--iñvalid', 'xn--1ch.com', '≠.com', '=\u0338.com', '<\u0338.x', `${'a'.repeat(64)}.com`, 'a_b.c', "a'b.c", 'a!b$c&d.e', '\u2f868.x', '\ufffd.x',
  ];
  return [...ipv4, ...ipv6, ...forbidden, ...percent, ...idna];
}

export function relatives(): [reference: string, base: string][] {
  const bases = ['http://u:p@h:81/a/b/c?q#f', 'https://h', 'file:///C:/d/e', 'file://srv/d', 'foo://h/a/b', 'foo:/a/b', 'mailto:x@y', 'data:,x', 'about:blank', 'not a base', 'http://[::1]/x/'];
  const references = ['', '#', '#x', '?', '?y', '.', './', '..', '../', '../../..', 'x', 'x/y', '/x', '/x/../..', '//o', '//o/x', '///x', 'http:x', 'http:/x', 'http://o', 'https:x',
    'file:x', 'foo:x', 'foo:/x', 'C|/x', '/C|/x', '//C|/x', '\\x', '\\\\o\\x', './a:b', 'a:b', ':x', '%2e%2e/x', ' x ', 'ü', 'x?y#z', ';a', '//u@', '//', '.x', '..x', 'x/.', 'x/..'];
  return bases.flatMap((base) => references.map((reference): [string, string] => [reference, base]));
}

export function setterCases(): [start: string, property: string, value: string][] {
  const starts = ['http://u:p@h.test:81/a/b?q#f', 'https://h.test/', 'file:///x/y', 'foo://h/a', 'foo:/a', 'mailto:x@y', 'ws://h:80/'];
  const values: [string, string[]][] = [
    ['href', ['http://new/', 'bad', '']],
    ['protocol', ['https', 'ftp:', 'foo', 'file', 'http:x', '0a', '', 'WS']],
    ['username', ['', 'a b', 'ü@:/']],
    ['password', ['', 'a b', 'ü@:/']],
    ['host', ['o', 'o:99', 'o:', '', '[::1]:5', 'a b', 'o/x', 'o?x', 'o:99x', ':5', 'x@y']],
    ['hostname', ['o', 'o:99', '', '[::1]', 'a b', 'o/x', '1.2', 'ü.de', 'xn--a']],
    ['port', ['1', '', '80', '443', '65536', '9x', 'x9', ' 9', '00080', '-1']],
    ['pathname', ['', 'x', '/x/../y', '//x', '?x', '#x', 'a b', '\\x', 'ü', '%2e%2e/z', 'C|/x']],
    ['search', ['', '?', 'x', '?x', '??x', 'a b', "'", 'ü#', '%zz']],
    ['hash', ['', '#', 'x', '#x', '##x', 'a b', '`', 'ü', '\u0000']],
    ['origin', ['http://x']],
  ];
  return starts.flatMap((start) =>
    values.flatMap(([property, list]) => list.map((value): [string, string, string] => [start, property, value])),
  );
}

export function searchStrings(): string[] {
  return ['', '?', 'a', 'a=', '=a', '=', '&', 'a&b', 'a=1&a=2&b=2', '?a=1', '??a=1', 'a=b=c', 'a+b=c+d', 'a%20b=c%2Bd', '%', '%zz', 'a=%', 'a=%C3%BC', 'a=%C3', 'a=\u00fc', 'a=\ud83d', 'a=\u{1f600}',
    'a=&&b=2&', '#a=1', 'a=#', 'a;b=1', "a='~!*()-._", 'a=%00', 'a=\u0000', 'a=%EF%BB%BF', '__proto__=1&constructor=2', 'a=1\r\n', '+=+', '%61=1&a=2', 'a[]=1&a[]=2'];
}
