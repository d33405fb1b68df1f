/**
 * Sanic's route patterns. A parameter is a whole segment: `<name>`, `<name:type>` or `<name:REGEX>`; everything else is
 * literal. A regular expression (and `path`) may reach over slashes; the other types stay within their segment.
 * Matching runs in the isolate, under its CPU limit: a pattern that backtracks for ever ends as the lambda's own fault.
 */
export type ParameterValue = string | number | bigint;
export type Parameters = Record<string, ParameterValue>;

export interface RoutePattern {
  readonly pattern: string;
  readonly names: readonly string[];
  /** As OpenAPI writes it: `/parameters/{parameter}`. */
  readonly template: string;
  readonly parameters: readonly { readonly name: string; readonly type: string; readonly regex: string }[];
  /** Static routes are tried first, then typed ones, then regular expressions: less is sooner. */
  readonly rank: string;
  match(path: string): Parameters | undefined;
}

interface ParameterType {
  readonly regex: string;
  readonly rank: number;
  readonly read?: (text: string) => ParameterValue | undefined;
}

const UUID = '[A-Fa-f0-9]{8}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{12}';

// As in sanic-routing's table of patterns. Values that have no type of their own in JavaScript arrive as texts.
const TYPES: Readonly<Record<string, ParameterType>> = {
  ymd: { regex: '[12]\\d{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\\d|3[01])', rank: 1, read: realDate },
  uuid: { regex: UUID, rank: 2 },
  int: { regex: '-?\\d+', rank: 3, read: wholeNumber },
  float: { regex: '-?(?:\\d+(?:\\.\\d*)?|\\.\\d+)', rank: 4, read: Number },
  alpha: { regex: '[A-Za-z]+', rank: 5 },
  slug: { regex: '[a-z0-9]+(?:-[a-z0-9]+)*', rank: 6 },
  str: { regex: '[^/]+', rank: 7 },
  string: { regex: '[^/]+', rank: 7 },
  number: { regex: '-?(?:\\d+(?:\\.\\d*)?|\\.\\d+)', rank: 4, read: Number },
  strorempty: { regex: '[^/]*', rank: 8 },
  path: { regex: '[^/](?:.*)', rank: 9 },
};
const REGEX_RANK = 9;
const PARAMETER = /^<([A-Za-z_]\w*)(?::([\s\S]*))?>$/;

type Segment =
  | { readonly literal: string }
  | {
      readonly name: string;
      readonly typeName: string;
      readonly type: ParameterType;
      readonly isRegex: boolean;
    };

/** Throws SyntaxError for a pattern that can't be one. */
export function compileRoute(pattern: string): RoutePattern {
  const segments = splitPattern(pattern).map(parseSegment);
  const parameters = segments.filter((segment) => 'name' in segment);
  const names = parameters.map(({ name }) => name);
  if (new Set(names).size !== names.length)
    throw new SyntaxError(`route "${pattern}": a parameter's name comes twice`);
  return {
    pattern,
    names,
    template: `/${segments.map((segment) => ('name' in segment ? `{${segment.name}}` : segment.literal)).join('/')}`,
    parameters: parameters.map(({ name, typeName, type }) => ({ name, type: typeName, regex: type.regex })),
    rank: segments.map((segment) => ('name' in segment ? String(segment.type.rank) : '0')).join(''),
    match: matcher(pattern, segments),
  };
}

function splitPattern(pattern: string): string[] {
  if (!pattern.startsWith('/')) throw new SyntaxError(`route "${pattern}" must begin with a slash`);
  const parts: string[] = [];
  let at = 1;
  while (at < pattern.length) {
    let end = pattern.indexOf('/', at);
    if (end < 0) end = pattern.length;
    if (pattern[at] === '<') {
      // The expression may hold slashes and angle brackets: the parameter ends where a ">" ends a segment.
      const close = /(?<=>)(?:\/|$)/g;
      close.lastIndex = at;
      const found = close.exec(pattern);
      if (found === null) throw new SyntaxError(`route "${pattern}": a parameter is not closed by ">"`);
      end = found.index;
    }
    parts.push(pattern.slice(at, end));
    at = end + 1;
  }
  return parts;
}

function parseSegment(text: string): Segment {
  const found = PARAMETER.exec(text);
  if (found === null) return { literal: text };
  const [, name = '', given] = found;
  const typeName = given ?? 'str';
  const known = Object.hasOwn(TYPES, typeName) ? TYPES[typeName] : undefined;
  if (known !== undefined) return { name, typeName, type: known, isRegex: typeName === 'path' };
  return { name, typeName: 'regex', type: { regex: fromPython(typeName), rank: REGEX_RANK }, isRegex: true };
}

/** Python's spellings, and the anchors that Sanic strips: the pattern is anchored as a whole. */
function fromPython(regex: string): string {
  return regex
    .replace(/^\^/, '')
    .replace(/(?<!\\)\$$/, '')
    .replaceAll('(?P<', '(?<')
    .replaceAll('\\Z', '$');
}

function matcher(pattern: string, segments: readonly Segment[]): RoutePattern['match'] {
  if (segments.every((segment) => !('name' in segment))) {
    return (path) => (path === pattern || path === `${pattern}/` ? {} : undefined);
  }
  const group = (i: number): string => `isolambda_${i}`;
  const escape = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
  const source = segments
    .map((segment, i) =>
      'name' in segment ? `(?<${group(i)}>${segment.type.regex})` : escape(segment.literal),
    )
    .join('/');
  let regex: RegExp;
  try {
    regex = new RegExp(`^/${source}/?$`);
  } catch (error) {
    throw new SyntaxError(`route "${pattern}": ${error instanceof Error ? error.message : String(error)}`);
  }
  const parameters = segments.flatMap((segment, i) =>
    // A named group of the parameter's own name, where its expression has one, is the value (as in Sanic).
    'name' in segment
      ? [{ ...segment, own: segment.type.regex.includes(`(?<${segment.name}>`), at: group(i) }]
      : [],
  );
  return (path) => {
    const groups = regex.exec(path)?.groups;
    if (groups === undefined) return undefined;
    const values: Parameters = {};
    for (const { name, type, own, at } of parameters) {
      const text = decode((own ? groups[name] : undefined) ?? groups[at] ?? '');
      const value = type.read === undefined ? text : type.read(text);
      if (value === undefined) return undefined;
      Object.defineProperty(values, name, { value, enumerable: true, writable: true, configurable: true });
    }
    return values;
  };
}

function decode(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function wholeNumber(text: string): ParameterValue {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : BigInt(text);
}

function realDate(text: string): string | undefined {
  const time = Date.parse(`${text}T00:00:00Z`);
  return Number.isNaN(time) || new Date(time).toISOString().slice(0, 10) !== text ? undefined : text;
}
