/** Rule 1: lambda_main exports what its type needs, with the right number of parameters. */
import type { LambdaType } from '../../protocol/messages.ts';
import { error, quote, type Place } from '../problem.ts';
import type { Problem } from '../../errors/problem.ts';
import { asClass, lineageOf, membersNamed, type ArchiveClass } from './classes.ts';
import { isFunction, requiredParameters, type AnyFunction } from './functions.ts';
import { placeOf, type Meaning, type Module, type ModuleGraph, type Node } from './graph.ts';

/** What is called, and with what. JavaScript functions may leave out parameters that they don't use; they may not need more. */
const CALLED_WITH: Readonly<Record<LambdaType, readonly string[]>> = {
  standalone: ['request'],
  handlers: ['request'],
  tasks: [],
  rpc: ['event', 'context'],
};

export const DEFAULT_HANDLER: Readonly<Record<LambdaType, string>> = {
  standalone: 'main',
  handlers: 'main',
  tasks: 'LambdaTask',
  rpc: 'lambda_handler',
};

const example = (type: LambdaType, name: string): string =>
  type === 'tasks'
    ? 'export class LambdaTask extends BaseLambdaTask { ... }'
    : type === 'rpc'
      ? `export function ${name}(event, context) { ... }`
      : 'export async function main(request) { ... }';

export function checkEntry(graph: ModuleGraph, module: Module, type: LambdaType, name: string): Problem[] {
  const meaning = graph.exported(module, name);
  const declared = module.exports.get(name);
  const place = placeOf(module, declared && 'node' in declared ? declared.node : undefined);
  switch (meaning.kind) {
    case 'missing':
      return [missing(graph, module, type, name)];
    case 'unknown':
      return [];
    case 'sdk':
    case 'sdk_namespace':
    case 'namespace':
      return [
        error(
          'main_kind',
          `${name} is a part of a module, not your own`,
          `Write: ${example(type, name)}`,
          place,
        ),
      ];
    case 'node':
      return type === 'tasks' ? checkTask(graph, meaning, name) : checkFunction(meaning, type, name);
  }
}

function missing(graph: ModuleGraph, module: Module, type: LambdaType, name: string): Problem {
  const mend = `Write: ${example(type, name)}`;
  if (module.isCommonJs)
    return error(
      'main_missing_export',
      `${module.path} is CommonJS: it exports nothing that can be checked`,
      `Use export instead of module.exports. ${mend}`,
      {
        file: module.path,
      },
    );
  const local = graph.local(module, name);
  if (local.kind === 'node')
    return error(
      'main_missing_export',
      `${name} is not exported`,
      `Write export before it: ${example(type, name)}`,
      placeOf(module, local.node),
    );
  if (module.exports.has('default'))
    return error(
      'main_missing_export',
      `${module.path} has a default export, but no ${quote(name)}`,
      `Export it by its name. ${mend}`,
      { file: module.path },
    );
  return error(
    'main_missing_export',
    `${module.path} exports no ${quote(name)}, which a lambda of type ${type} needs`,
    mend,
    {
      file: module.path,
    },
  );
}

function checkFunction(meaning: Meaning & { kind: 'node' }, type: LambdaType, name: string): Problem[] {
  const { module, node } = meaning;
  const place = placeOf(module, node);
  const mend = `Write: ${example(type, name)}`;
  if (isFunction(node)) return checkCall(node, CALLED_WITH[type], name, place);
  // What a call gives, or a variable that is set later, is known only when it runs.
  const isOpen = [
    'CallExpression',
    'ConditionalExpression',
    'AwaitExpression',
    'MemberExpression',
    'LogicalExpression',
    'TaggedTemplateExpression',
    'OptionalCallExpression',
    'SequenceExpression',
    'Identifier',
    'AssignmentExpression',
    'NewExpression',
  ].includes(node.type);
  if (isOpen) return [];
  const what =
    node.type === 'ClassDeclaration' || node.type === 'ClassExpression' ? 'a class' : 'no function';
  return [error('main_kind', `${name} is ${what}; a lambda of type ${type} needs a function`, mend, place)];
}

function checkCall(node: AnyFunction, called: readonly string[], name: string, place: Place): Problem[] {
  if (node.generator)
    return [
      error(
        'main_kind',
        `${name} is a generator`,
        'Write a plain or an async function that returns its result.',
        place,
      ),
    ];
  const required = requiredParameters(node);
  if (required <= called.length) return [];
  return [
    error(
      'main_parameters',
      `${name} needs ${required} parameters, but is called with ${called.length === 1 ? 'one' : called.length}: (${called.join(', ')})`,
      `Take (${called.join(', ')}), and what else it needs from there.`,
      place,
    ),
  ];
}

function checkTask(graph: ModuleGraph, meaning: Meaning & { kind: 'node' }, name: string): Problem[] {
  const start = asClass(meaning);
  const place = placeOf(meaning.module, meaning.node);
  if (!start) return [error('main_kind', `${name} is no class`, `Write: ${example('tasks', name)}`, place)];
  const lineage = lineageOf(graph, start);
  const problems: Problem[] = [];
  if (lineage.root.kind !== 'sdk' || lineage.root.name !== 'BaseLambdaTask')
    problems.push(
      error(
        'task_base',
        `${name} does not extend BaseLambdaTask of lambda-tools/tasks`,
        `Write: ${example('tasks', name)}`,
        place,
      ),
    );
  for (const [method, parameter] of [
    ['splitTasksContent', 'content'],
    ['executeSubtask', 'subtaskContent'],
  ] as const) {
    const found = lineage.classes.flatMap((item) =>
      membersNamed(item.node, method).map((member) => ({ item, member })),
    )[0];
    if (!found) {
      problems.push(
        error(
          'task_method',
          `${name} has no method ${method}`,
          `Add: async ${method}(${parameter}) { ... }`,
          place,
        ),
      );
      continue;
    }
    problems.push(...checkTaskMethod(found.item, found.member, method, parameter));
  }
  return problems;
}

function checkTaskMethod(
  { module }: ArchiveClass,
  member: Node,
  method: string,
  parameter: string,
): Problem[] {
  const place = placeOf(module, member);
  const value = member.type === 'ClassProperty' ? member.value : member;
  const isMethod = !('static' in member && member.static) && !('kind' in member && member.kind !== 'method');
  if (!value || !isMethod || (member.type === 'ClassProperty' && !isFunction(value)))
    return [
      error('task_method', `${method} is no method`, `Write: async ${method}(${parameter}) { ... }`, place),
    ];
  return isFunction(value) ? checkCall(value, [parameter], method, place) : [];
}
