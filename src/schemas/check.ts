/** Checks what came over the wire, and says in sentences what is wrong with it. */
import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { IsolambdaError } from '../errors/error.ts';

/** As TypeBox and Fastify report them. */
export interface SchemaError {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: object;
  readonly message?: string | undefined;
}

/** One thing wrong with a request: a member of `problems` in the error body. */
export interface RequestProblem {
  /** Which part: `body`, `query`, `path`, `parameters`. */
  readonly in: string;
  /** JSON pointer; empty for the part itself. */
  readonly at: string;
  readonly message: string;
}

const MOST_PROBLEMS = 20;

export function requestProblems(errors: readonly SchemaError[], where: string): RequestProblem[] {
  const problems = new Map<string, RequestProblem>();
  const add = (at: string, message: string): void => {
    if (problems.size < MOST_PROBLEMS) problems.set(`${at} ${message}`, { in: where, at, message });
  };
  for (const [at, names] of unknownKeys(errors))
    add(at, `unknown: ${[...names].slice(0, MOST_PROBLEMS).map(quote).join(', ')}`);
  for (const error of errors) {
    const { keyword, instancePath } = error;
    if (isUnknownKey(error)) continue;
    // What is wrong with the choices says more than that none of them fits.
    if (keyword === 'anyOf' && errors.some((other) => other !== error && within(other, instancePath)))
      continue;
    add(instancePath, sentence(error));
  }
  return [...problems.values()];
}

const within = ({ instancePath }: SchemaError, path: string): boolean =>
  instancePath === path || instancePath.startsWith(`${path}/`);

const isUnknownKey = ({ keyword }: SchemaError): boolean =>
  keyword === 'additionalProperties' || keyword === 'boolean';

/** An unknown key is told twice: at the object, with its name, and at its own place, as what a schema of `false` refuses. */
function unknownKeys(errors: readonly SchemaError[]): Map<string, Set<string>> {
  const byObject = new Map<string, Set<string>>();
  const add = (at: string, name: string): void =>
    void byObject.set(at, (byObject.get(at) ?? new Set()).add(name));
  for (const { keyword, instancePath, params } of errors) {
    if (keyword === 'boolean') {
      const slash = instancePath.lastIndexOf('/');
      // RFC 6901, section 3.
      const name = instancePath
        .slice(slash + 1)
        .replaceAll('~1', '/')
        .replaceAll('~0', '~');
      add(instancePath.slice(0, Math.max(0, slash)), name);
    } else if (keyword === 'additionalProperties') {
      const { additionalProperties } = params as { additionalProperties?: unknown };
      if (Array.isArray(additionalProperties))
        for (const name of additionalProperties) add(instancePath, String(name));
    }
  }
  return byObject;
}

/** The names are worth more than the keyword. */
function sentence({ keyword, params, message }: SchemaError): string {
  const { allowedValues, requiredProperties } = params as Record<string, unknown>;
  if (keyword === 'required' && Array.isArray(requiredProperties))
    return `missing: ${requiredProperties.map(quote).join(', ')}`;
  if (keyword === 'enum' && Array.isArray(allowedValues))
    return `must be one of ${allowedValues.map(quote).join(', ')}`;
  return message ?? `is refused by "${keyword}"`;
}

const quote = (value: unknown): string => JSON.stringify(String(value).slice(0, 64));

/** One sentence for `detail`. */
export const inOneSentence = (problems: readonly RequestProblem[]): string =>
  problems
    .map(({ in: where, at, message }) => `${where}${at === '' ? '' : ` ${at.slice(0, 128)}`}: ${message}`)
    .join('; ');

/** A check of one schema, compiled once. The returned function throws `bad_request` with every problem. */
export function checker<T extends TSchema>(schema: T): (value: unknown, where: string) => Static<T> {
  const compiled = Compile(schema);
  return (value, where) => {
    if (compiled.Check(value)) return value;
    const problems = requestProblems(compiled.Errors(value), where);
    throw new IsolambdaError('bad_request', inOneSentence(problems), { problems });
  };
}

/** What is wrong with a JSON value of a tenant's that the host keeps and serialises again; undefined when nothing is. */
export function jsonProblem(value: unknown, { maxDepth }: { readonly maxDepth: number }): string | undefined {
  // A loop, not a recursion: the value may be as deep as its text is long.
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > maxDepth) return `is nested deeper than ${maxDepth} levels`;
    const next: unknown[] = [];
    for (const item of level) {
      if (typeof item !== 'object' || item === null) continue;
      if (Object.hasOwn(item, '__proto__')) return 'has a key "__proto__"';
      for (const member of Object.values(item)) next.push(member);
    }
    level = next;
  }
  return undefined;
}
