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
  for (const error of errors) {
    // What these two say is said better by another error of the same place.
    if (error.keyword === 'boolean' || (error.keyword === 'anyOf' && problems.size > 0)) continue;
    const { at, message } = sentence(error);
    if (problems.size < MOST_PROBLEMS) problems.set(`${at} ${message}`, { in: where, at, message });
  }
  return [...problems.values()];
}

/** The names are worth more than the keyword: an unknown key is told by its name. */
function sentence({ keyword, instancePath, params, message }: SchemaError): { at: string; message: string } {
  const { additionalProperties, allowedValues, requiredProperties } = params as Record<string, unknown>;
  if (keyword === 'additionalProperties' && Array.isArray(additionalProperties))
    return { at: instancePath, message: `unknown: ${additionalProperties.map(quote).join(', ')}` };
  if (keyword === 'required' && Array.isArray(requiredProperties))
    return { at: instancePath, message: `missing: ${requiredProperties.map(quote).join(', ')}` };
  if (keyword === 'enum' && Array.isArray(allowedValues))
    return { at: instancePath, message: `must be one of ${allowedValues.map(quote).join(', ')}` };
  return { at: instancePath, message: message ?? `is refused by "${keyword}"` };
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
