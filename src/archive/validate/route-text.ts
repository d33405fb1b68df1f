/** Rule 4: `route` is set in the class body, to a constant string or a template string over module constants. */
import { error, type Place } from '../problem.ts';
import type { Problem } from '../../errors/problem.ts';
import { classNameOf, membersNamed, type ArchiveClass } from './classes.ts';
import { placeOf, unwrap, type Module, type ModuleGraph, type Node } from './graph.ts';

export const MAX_ROUTE_LENGTH = 1_024;
const MEND =
  'Write: static route = "/path/<name>"; with a plain string, or a template over constants of the module.';

export interface RouteText {
  readonly text: string;
  readonly place: Place;
}

/** `static route`, as the contract has it; a plain field is taken too, for that is what the seed's class attribute looks like when it is ported word for word. */
export function readRouteText(graph: ModuleGraph, handler: ArchiveClass): RouteText | Problem {
  const { module, node } = handler;
  const [member, second] = membersNamed(node, 'route');
  const name = classNameOf(handler);
  if (!member) return error('route_missing', `${name} has no route`, MEND, placeOf(module, node));
  const place = placeOf(module, second ?? member);
  if (second) return error('route_twice', `${name} sets route twice`, 'Keep one.', place);
  if (member.type !== 'ClassProperty' || !member.value)
    return error('route_not_constant', `route of ${name} is no constant`, MEND, place);
  const value = unwrap(member.value);
  const at = placeOf(module, value);
  if (value.type !== 'StringLiteral' && value.type !== 'TemplateLiteral' && !isRaw(module, value))
    return error('route_not_constant', `route of ${name} is ${describe(value)}`, MEND, at);
  const text = constantText(graph, module, value, 0);
  if (text === undefined)
    return error('route_not_constant', `route of ${name} holds what is no constant`, MEND, at);
  if (text.length > MAX_ROUTE_LENGTH)
    return error(
      'route_format',
      `route of ${name} has more than ${MAX_ROUTE_LENGTH} characters`,
      'Make it shorter.',
      at,
    );
  return { text, place: at };
}

function describe(node: Node): string {
  if (node.type === 'CallExpression' || node.type === 'NewExpression') return 'the result of a call';
  if (node.type === 'Identifier' || node.type === 'MemberExpression') return 'another variable';
  if (node.type === 'TaggedTemplateExpression') return 'the result of a call';
  return 'no constant string';
}

/** String.raw is to JavaScript what r"..." is to Python: a way to write backslashes. */
function isRaw(module: Module, node: Node): boolean {
  if (node.type !== 'TaggedTemplateExpression' || node.tag.type !== 'MemberExpression') return false;
  const { object, property, computed } = node.tag;
  return (
    !computed &&
    object.type === 'Identifier' &&
    object.name === 'String' &&
    !module.bindings.has('String') &&
    property.type === 'Identifier' &&
    property.name === 'raw'
  );
}

const MAX_DEPTH = 20;

/** The text that an expression of constants gives; undefined where it is none, or beyond all measure. */
function constantText(
  graph: ModuleGraph,
  module: Module,
  expression: Node,
  depth: number,
): string | undefined {
  if (depth > MAX_DEPTH) return undefined;
  const node = unwrap(expression);
  if (node.type === 'StringLiteral') return node.value;
  if (node.type === 'NumericLiteral') return String(node.value);
  if (node.type === 'Identifier' || node.type === 'MemberExpression') {
    const meaning = graph.meaning(module, node);
    if (meaning.kind !== 'node' || meaning.how !== 'const') return undefined;
    return constantText(graph, meaning.module, meaning.node, depth + 1);
  }
  if (node.type === 'BinaryExpression' && node.operator === '+')
    return join([node.left, node.right].map((part) => constantText(graph, module, part, depth + 1)));
  const raw = isRaw(module, node);
  const template = node.type === 'TaggedTemplateExpression' && raw ? node.quasi : node;
  if (template.type !== 'TemplateLiteral') return undefined;
  const parts = template.quasis.flatMap((quasi, index) => {
    const inner = template.expressions[index];
    const text = raw ? quasi.value.raw : (quasi.value.cooked ?? undefined);
    return inner ? [text, constantText(graph, module, inner, depth + 1)] : [text];
  });
  return join(parts);
}

/** Constants made of constants can double at each step. */
function join(parts: readonly (string | undefined)[]): string | undefined {
  let text = '';
  for (const part of parts) {
    if (part === undefined || text.length > 16 * MAX_ROUTE_LENGTH) return undefined;
    text += part;
  }
  return text;
}
