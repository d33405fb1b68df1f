/** Rule 6: the path parameters and each method's parameters have the same names, in any order, or stand in one destructured object. */
import type { ClassMethod } from '@babel/types';
import { error } from '../problem.ts';
import type { Problem } from '../../errors/problem.ts';
import { classNameOf, type ArchiveClass } from './classes.ts';
import { parametersOf } from './functions.ts';
import { placeOf, type Node } from './graph.ts';
import type { RoutePattern } from './route-pattern.ts';

export interface CheckedParameters {
  /** Names in order, where the method takes them one by one. */
  readonly positional: readonly string[];
  readonly problems: readonly Problem[];
}

interface Names {
  readonly names: readonly string[];
  readonly positional: boolean;
  /** `{ a, ...rest }` takes whatever there is. */
  readonly open: boolean;
}

export function checkParameters(
  handler: ArchiveClass,
  method: ClassMethod,
  name: string,
  pattern: RoutePattern,
): CheckedParameters {
  const place = placeOf(handler.module, method);
  const label = `${name} of ${classNameOf(handler)}`;
  const mend = `Write: async ${name}(${pattern.parameters.join(', ')}) { ... }, or async ${name}({ ${pattern.parameters.join(', ')} }) { ... }`;
  const refuse = (message: string): CheckedParameters => ({
    positional: [],
    problems: [error('route_parameters', message, mend, place)],
  });
  const taken = namesOf(parametersOf(method));
  if (!taken)
    return refuse(`${label} has a parameter without a plain name: path parameters are passed by name`);
  const missing = taken.open ? [] : pattern.parameters.filter((item) => !taken.names.includes(item));
  const extra = taken.names.filter((item) => !pattern.parameters.includes(item));
  const said = [
    ...(missing.length > 0 ? [`does not take ${missing.join(', ')} of its route`] : []),
    ...(extra.length > 0 ? [`takes ${extra.join(', ')}, which its route does not have`] : []),
  ];
  if (said.length > 0) return refuse(`${label} ${said.join(', and ')}`);
  return { positional: taken.positional ? taken.names : [], problems: [] };
}

function namesOf(parameters: readonly Node[]): Names | undefined {
  const plain = parameters.map(withoutDefault);
  const [first] = plain;
  if (plain.length === 1 && first?.type === 'ObjectPattern') return namesOfPattern(first);
  const names = plain.map((parameter) => (parameter.type === 'Identifier' ? parameter.name : undefined));
  if (names.includes(undefined)) return undefined;
  return { names: names.filter((item) => item !== undefined), positional: true, open: false };
}

const withoutDefault = (node: Node): Node => (node.type === 'AssignmentPattern' ? node.left : node);

function namesOfPattern(pattern: Node & { type: 'ObjectPattern' }): Names | undefined {
  const names: string[] = [];
  let open = false;
  for (const property of pattern.properties) {
    if (property.type === 'RestElement') open = true;
    else if (property.computed) return undefined;
    else if (property.key.type === 'Identifier') names.push(property.key.name);
    else if (property.key.type === 'StringLiteral') names.push(property.key.value);
    else return undefined;
  }
  return { names, positional: false, open };
}
