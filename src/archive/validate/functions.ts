import type {
  ArrowFunctionExpression,
  ClassMethod,
  FunctionDeclaration,
  FunctionExpression,
} from '@babel/types';
import type { Node } from './graph.ts';

export type AnyFunction = ArrowFunctionExpression | FunctionExpression | FunctionDeclaration | ClassMethod;

export const isFunction = (node: Node): node is AnyFunction =>
  node.type === 'ArrowFunctionExpression' ||
  node.type === 'FunctionExpression' ||
  node.type === 'FunctionDeclaration' ||
  node.type === 'ClassMethod';

/** Parameters without TypeScript's `this`, which is none. */
export const parametersOf = (node: AnyFunction): Node[] =>
  (node.params as Node[]).filter(
    (parameter) => !(parameter.type === 'Identifier' && parameter.name === 'this'),
  );

/** How many arguments the function can't do without: those before the first default or rest parameter. */
export function requiredParameters(node: AnyFunction): number {
  const parameters = parametersOf(node);
  const optional = parameters.findIndex(
    (parameter) =>
      parameter.type === 'AssignmentPattern' ||
      parameter.type === 'RestElement' ||
      (parameter.type === 'Identifier' && parameter.optional === true),
  );
  return optional < 0 ? parameters.length : optional;
}
