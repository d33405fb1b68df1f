/**
 * Route patterns as Sanic writes them: `/items/<id:int>/<rest:path>`. A parameter fills a whole segment; its type is one of
 * TYPES, or a regular expression. Source: Sanic's user guide, "Routing", "Path parameters".
 */
export interface RoutePattern {
  readonly parameters: readonly string[];
  /** Same text for routes that differ only by the names of their parameters. */
  readonly shape: string;
  /** No parameter in it: the path itself. */
  readonly isStatic: boolean;
  matches(path: string): boolean;
}

const TYPES: Readonly<Record<string, string>> = {
  str: '[^/]+',
  string: '[^/]+',
  number: '-?(?:\\d+(?:\\.\\d*)?|\\.\\d+)',
  strorempty: '[^/]*',
  int: '-?\\d+',
  float: '-?(?:\\d+(?:\\.\\d*)?|\\.\\d+)',
  alpha: '[A-Za-z]+',
  slug: '[a-z0-9]+(?:-[a-z0-9]+)*',
  path: '[^/].*',
  ymd: '[12]\\d{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\\d|3[01])',
  uuid: '[A-Fa-f0-9]{8}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{12}',
};
const PARAMETER = /^<([A-Za-z_]\w*)(?::([^]*))?>$/;

/** What is wrong with the pattern is a text. */
export function parseRoute(route: string): RoutePattern | string {
  if (!route.startsWith('/')) return 'it must begin with a slash';
  if (/[\u0000-\u0020\u007f?#]/u.test(route.replaceAll(/<[^]*?>(?=\/|$)/g, '')))
    return 'it holds a space, a control character, ? or #';
  const parameters: string[] = [];
  const shape: string[] = [];
  const sources: string[] = [];
  for (const [index, segment] of segmentsOf(route).entries()) {
    if (!segment.includes('<') && !segment.includes('>')) {
      shape.push(segment);
      sources.push(escape(segment));
      continue;
    }
    const found = PARAMETER.exec(segment);
    if (!found)
      return `${JSON.stringify(segment)} is no parameter: write <name> or <name:type>, filling the whole part between slashes`;
    const [, name = '', type = 'str'] = found;
    if (parameters.includes(name)) return `the parameter ${name} stands in it twice`;
    const source = Object.hasOwn(TYPES, type) ? TYPES[type]! : fromPython(type);
    if (type === '') return `the parameter ${name} has an empty type`;
    try {
      new RegExp(`^(?:${source})$`);
    } catch (thrown) {
      return `the regular expression of ${name} is wrong: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
    }
    parameters.push(name);
    shape.push(`<${type}>`);
    sources.push(`(?<${groupOf(index)}>${source})`);
  }
  let whole: RegExp;
  try {
    whole = new RegExp(`^/${sources.join('/')}/?$`);
  } catch (thrown) {
    return `its regular expressions do not go together: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
  }
  const isStatic = parameters.length === 0;
  const own = withoutSlash(route);
  return {
    parameters,
    shape: `/${shape.join('/')}`.replace(/(.)\/$/, '$1'),
    isStatic,
    matches: (path) => (isStatic ? withoutSlash(path) === own : whole.test(path)),
  };
}

/** Static routes are looked up as the lambda's router does: `/a/` is `/a`, and no more slashes than one are forgiven. */
const withoutSlash = (path: string): string =>
  path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;

/** As the lambda's own router names them (sandbox/sdk/core/routes.ts): what compiles here compiles there. */
const groupOf = (index: number): string => `isolambda_${index}`;

/** Python spells named groups `(?P<name>`, and Sanic drops anchors, for the whole segment must match anyway. */
const fromPython = (source: string): string =>
  source
    .replace(/^\^/, '')
    .replace(/(?<!\\)\$$/, '')
    .replaceAll('(?P<', '(?<')
    .replaceAll('\\Z', '$');

const escape = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** Cuts at slashes, but not at those inside a parameter's regular expression, which ends with `>` before a slash or the end. */
function segmentsOf(route: string): string[] {
  const segments: string[] = [];
  let at = 1;
  while (at <= route.length) {
    const close = route[at] === '<' ? /[^]*?>(?=\/|$)/y : /[^/]*/y;
    close.lastIndex = at;
    const found = close.exec(route)?.[0] ?? route.slice(at);
    segments.push(found);
    at += found.length + 1;
  }
  // "/a/" is "/a": an empty last part is no part.
  if (segments.length > 1 && segments.at(-1) === '') segments.pop();
  return segments;
}
