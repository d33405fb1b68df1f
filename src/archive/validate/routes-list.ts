/** Rule 2: ROUTES_TO_ADD is exported, and is a literal array of class names. */
import type { LambdaType } from '../../protocol/messages.ts';
import { error, quote } from '../problem.ts';
import type { Problem } from '../../errors/problem.ts';
import { placeOf, unwrap, type Module, type ModuleGraph, type Node } from './graph.ts';

export const ROUTES = 'ROUTES_TO_ADD';
const FORMAT = `Write: export const ${ROUTES} = [HandlerOne, HandlerTwo];`;

export interface RoutesList {
  /** Names in order, each with where it stands. */
  readonly names: readonly { readonly name: string; readonly node: Node }[];
  readonly problems: readonly Problem[];
}

export function readRoutesList(graph: ModuleGraph, module: Module, type: LambdaType): RoutesList {
  const none = (...problems: Problem[]): RoutesList => ({ names: [], problems });
  const own = module.exports.get(ROUTES);
  const binding = module.bindings.get(own?.kind === 'local' ? own.name : ROUTES);
  const node = own?.node ?? (binding?.kind === 'local' ? binding.node : undefined);
  const place = placeOf(module, node);
  if (!own) {
    if (binding) return none(error('routes_not_exported', `${ROUTES} is not exported`, FORMAT, place));
    return graph.exported(module, ROUTES).kind === 'missing' ? none() : none(elsewhere(module, undefined));
  }
  if (type === 'rpc')
    return none(
      error(
        'routes_in_rpc',
        `a lambda of type rpc has no routes, but exports ${ROUTES}`,
        'Remove it, or choose another type.',
        place,
      ),
    );
  if (own.kind !== 'local' || binding?.kind !== 'local') return none(elsewhere(module, own.node));
  const list = binding.node && unwrap(binding.node);
  if (list?.type !== 'ArrayExpression')
    return none(
      error(
        'routes_not_literal',
        `${ROUTES} is not a literal array`,
        `${FORMAT} No call, no spread, no other variable.`,
        placeOf(module, list ?? own.node),
      ),
    );
  return readElements(module, list.elements, list);
}

const elsewhere = (module: Module, node: Node | undefined): Problem =>
  error(
    'routes_not_literal',
    `${ROUTES} is declared in another module`,
    `${FORMAT} It stands in lambda_main.`,
    placeOf(module, node),
  );

function readElements(module: Module, elements: readonly (Node | null)[], list: Node): RoutesList {
  const names: { name: string; node: Node }[] = [];
  const problems: Problem[] = [];
  const wrong = (what: string, node: Node): void =>
    void problems.push(
      error(
        'routes_not_literal',
        `${ROUTES} holds ${what}`,
        `${FORMAT} Only names of classes.`,
        placeOf(module, node),
      ),
    );
  for (const element of elements) {
    const node = element && unwrap(element);
    if (!node) wrong('a hole', list);
    else if (node.type === 'SpreadElement') wrong('a spread', node);
    else if (node.type === 'CallExpression' || node.type === 'NewExpression') wrong('a call', node);
    else if (node.type !== 'Identifier') wrong('what is no name of a class', node);
    else if (names.some(({ name }) => name === node.name))
      problems.push(
        error(
          'routes_twice',
          `${ROUTES} holds ${quote(node.name)} twice`,
          'Keep one.',
          placeOf(module, node),
        ),
      );
    else names.push({ name: node.name, node });
  }
  return { names, problems };
}
