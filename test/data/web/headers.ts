/** Header inputs, written for this project after https://fetch.spec.whatwg.org/#headers-class. */

export const NAMES = ['a', 'A-B', 'x_y', "!#$%&'*+-.^_`|~9", '', ' ', 'a b', 'a:', 'a\n', 'é', '\u0100', 'a\u0000', '(a)', 'a,b', 'a/b', 'a"b', 'Content-Type', 'SET-COOKIE', '__proto__', 'constructor'];

export const VALUES = ['', 'a', ' a ', '\ta\t', '\r\na\r\n', 'a\rb', 'a\nb', 'a\u0000b', 'a\tb', 'a  b', 'é', '\u00ff', '\u0100', '\u{1f600}', '\u0001', '\u007f', 'a, b', '"q"', '\u000b', '\u00a0a\u00a0', ' \r\n '];

type Step = ['append' | 'set', string, string] | ['delete', string];

/** Changes in sequence; after each sequence all that can be read is compared. */
export const SEQUENCES: Step[][] = [
  [['append', 'b', '1'], ['append', 'A', '2'], ['append', 'B', '3']],
  [['append', 'Set-Cookie', 'a=1'], ['append', 'x', 'y'], ['append', 'set-cookie', 'b=2'], ['append', 'Set-Cookie', 'c=3, d']],
  [['append', 'set-cookie', 'a'], ['set', 'Set-Cookie', 'b']],
  [['append', 'set-cookie', 'a'], ['append', 'set-cookie', 'b'], ['delete', 'Set-Cookie']],
  [['append', 'a', '1'], ['append', 'b', '2'], ['append', 'a', '3'], ['set', 'A', '4']],
  [['append', 'a', ''], ['append', 'a', ''], ['append', 'a', 'x']],
  [['append', 'cookie', 'a=1'], ['append', 'cookie', 'b=2']],
  [['append', 'z', '1'], ['append', 'a-', '2'], ['append', 'a', '3'], ['append', 'a_', '4'], ['append', '~', '5'], ['append', '!', '6']],
  [['set', 'accept', 'a'], ['append', 'accept', 'b'], ['delete', 'ACCEPT'], ['delete', 'missing']],
];
