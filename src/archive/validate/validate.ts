/**
 * The static checks of a lambda: its code is parsed, not run. All that is wrong is told, not just the first.
 * The rules are those of the lambda contract, one file a group.
 */
import type { LambdaType } from '../../protocol/messages.ts';
import type { RouteParameters } from '../bundle.ts';
import type { ArchiveFiles } from '../intake.ts';
import { error, quote, warning } from '../problem.ts';
import { staticPaths } from '../static-files.ts';
import type { Problem } from '../../errors/problem.ts';
import { DEFAULT_HANDLER, checkEntry } from './entry-export.ts';
import { ModuleGraph, placeOf, unwrap, type Module } from './graph.ts';
import { checkHandlers } from './handlers.ts';
import { checkImports } from './imports.ts';
import { findMain } from './main-file.ts';
import { readRoutesList } from './routes-list.ts';

export interface Validated {
  /** Path of lambda_main; absent where there is none, or more than one. */
  readonly main: string | undefined;
  /** The module and export that an `rpc` lambda names as its handler, where that is not in lambda_main. */
  readonly also: { readonly path: string; readonly name: string } | undefined;
  /** The export that will be called. */
  readonly handler: string;
  readonly queueName: string | undefined;
  /** Of each class of ROUTES_TO_ADD. */
  readonly routeParameters: readonly RouteParameters[];
  readonly problems: readonly Problem[];
}

/** `handler` counts for `rpc` lambdas alone: `name`, or `module:name`. Never throws. */
export function validate(files: ArchiveFiles, type: LambdaType, handler?: string): Validated {
  const { main, problems } = findMain(files);
  const chosen = chooseHandler(type, handler);
  const result = { main, also: undefined, handler: chosen.name, queueName: undefined, routeParameters: [] };
  if (main === undefined) return { ...result, problems };
  const graph = new ModuleGraph(files);
  const module = graph.module(main);
  if (!module) return { ...result, problems: [...problems, ...graph.problems] };
  const entry = locateEntry(graph, module, chosen);
  const list = readRoutesList(graph, module, type);
  const handlers = checkHandlers(graph, module, list.names, staticPaths(files));
  const reached = graph.reachable(main);
  if (entry.module && entry.module !== module)
    reached.push(...graph.reachable(entry.module.path).filter((item) => !reached.includes(item)));
  const queue = readQueueName(graph, entry.module ?? module);
  return {
    ...result,
    also:
      entry.module && entry.module !== module ? { path: entry.module.path, name: chosen.name } : undefined,
    queueName: queue.name,
    routeParameters: handlers.parameters,
    problems: [
      ...graph.problems,
      ...entry.problems,
      ...(entry.module ? checkEntry(graph, entry.module, type, chosen.name) : []),
      ...list.problems,
      ...handlers.problems,
      ...checkUserContext(graph, module),
      ...queue.problems,
      ...reached.flatMap(checkImports),
    ],
  };
}

interface Chosen {
  readonly module: string | undefined;
  readonly name: string;
}

function chooseHandler(type: LambdaType, handler: string | undefined): Chosen {
  if (type !== 'rpc' || handler === undefined) return { module: undefined, name: DEFAULT_HANDLER[type] };
  const colon = handler.lastIndexOf(':');
  return colon < 0
    ? { module: undefined, name: handler }
    : { module: handler.slice(0, colon), name: handler.slice(colon + 1) };
}

/** `<module>:<handler>` as the seed's command line has it; the module may be written with dots, as in Python. */
function locateEntry(
  graph: ModuleGraph,
  main: Module,
  { module, name }: Chosen,
): { module?: Module; problems: Problem[] } {
  const wrong = (message: string): { problems: Problem[] } => ({
    problems: [
      error('handler_name', message, 'Write "name", or "module:name" with a module of the archive.'),
    ],
  });
  if (!/^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name) || name.length > 255)
    return wrong(`${quote(name)} is no name of an export`);
  if (module === undefined) return { module: main, problems: [] };
  const written = module.replace(/\.(ts|js|mjs)$/, '');
  const path = graph.locate(`./${written}`) ?? graph.locate(`./${written.replaceAll('.', '/')}`);
  const found = path === undefined ? undefined : graph.module(path);
  return found ? { module: found, problems: [] } : wrong(`the archive has no module ${quote(module)}`);
}

const QUEUE = 'QUEUE_NAME';
const MAX_QUEUE_BYTES = 255;

/** A name that is computed is known when the lambda runs; a literal that can't be one is told now. */
function readQueueName(
  graph: ModuleGraph,
  module: Module,
): { name: string | undefined; problems: Problem[] } {
  const meaning = graph.exported(module, QUEUE);
  if (meaning.kind !== 'node') return { name: undefined, problems: [] };
  const node = unwrap(meaning.node);
  const isPlain = node.type === 'TemplateLiteral' && node.expressions.length === 0;
  const name =
    node.type === 'StringLiteral'
      ? node.value
      : isPlain
        ? (node.quasis[0]?.value.cooked ?? undefined)
        : undefined;
  const isOther = [
    'NumericLiteral',
    'BooleanLiteral',
    'NullLiteral',
    'ObjectExpression',
    'ArrayExpression',
  ].includes(node.type);
  const bytes = Buffer.byteLength(name ?? '');
  if (isOther || (name !== undefined && (bytes === 0 || bytes > MAX_QUEUE_BYTES)))
    return {
      name: undefined,
      problems: [
        error(
          'queue_name',
          `${QUEUE} is no name of a queue`,
          `Write: export const ${QUEUE} = "name"; 1 to ${MAX_QUEUE_BYTES} bytes.`,
          placeOf(meaning.module, node),
        ),
      ],
    };
  return { name, problems: [] };
}

function checkUserContext(graph: ModuleGraph, module: Module): Problem[] {
  const name = 'UserCtx';
  const meaning = graph.exported(module, name);
  const mend = `Write: export class ${name} { async onStart() { ... } }`;
  if (meaning.kind === 'missing') {
    const local = graph.local(module, name);
    if (local.kind !== 'node') return [];
    return [
      warning(
        'user_ctx_not_exported',
        `${name} is not exported, and is ignored`,
        mend,
        placeOf(module, local.node),
      ),
    ];
  }
  if (
    meaning.kind !== 'node' ||
    ['ClassDeclaration', 'ClassExpression', 'CallExpression'].includes(meaning.node.type)
  )
    return [];
  return [error('user_ctx', `${name} is no class`, mend, placeOf(meaning.module, meaning.node))];
}
