import type { ParameterValue } from './routes.ts';

/** How a handler's method takes the path's parameters. */
export type TakesParameters = (values: Readonly<Record<string, ParameterValue>>) => unknown[];

/**
 * Reads the names from the method's text: by name and in any order, or one destructured object. The bundler may have
 * put a number behind a name that collides with another of the module, so `parameter2` is also `parameter`; a name
 * that is still unknown gets the parameter of its place.
 */
export function parameterTaker(method: unknown, names: readonly string[]): TakesParameters {
  const declared = declaredParameters(Function.prototype.toString.call(method));
  if (declared.length === 0) return () => [];
  if (declared.length === 1 && declared[0]!.startsWith('{')) return (values) => [values];
  const order = declared.map((text, i) => {
    const name = /^[\p{ID_Start}$_][\p{ID_Continue}$]*/u.exec(text)?.[0] ?? '';
    if (names.includes(name)) return name;
    const plain = name.replace(/\d+$/, '');
    return names.includes(plain) ? plain : (names[i] ?? name);
  });
  return (values) => order.map((name) => values[name]);
}

/** The texts between the commas of a function's parameter list. */
export function declaredParameters(source: string): string[] {
  const open = source.indexOf('(');
  if (open < 0) return [];
  const found: string[] = [];
  let depth = 0;
  let from = open + 1;
  for (let i = open; i < source.length; i++) {
    const char = source[i]!;
    if (char === '/' && source[i + 1] === '*') {
      const end = source.indexOf('*/', i + 2);
      source = `${source.slice(0, i)} ${source.slice(end < 0 ? source.length : end + 2)}`;
    } else if (char === '"' || char === "'" || char === '`') {
      i++;
      while (i < source.length && source[i] !== char) i += source[i] === '\\' ? 2 : 1;
    } else if ('([{'.includes(char)) depth++;
    else if (')]}'.includes(char)) {
      depth--;
      if (depth > 0) continue;
      const last = source.slice(from, i).trim();
      if (last !== '') found.push(last);
      return found;
    } else if (char === ',' && depth === 1) {
      found.push(source.slice(from, i).trim());
      from = i + 1;
    }
  }
  return found;
}
