/**
 * Rules 3 to 7, for each class of ROUTES_TO_ADD: declared in lambda_main, extends LambdaUserHandler, has a constant route
 * and async methods of its own whose parameters are those of the path; and no route collides with another.
 */
import type { RouteParameters } from '../bundle.ts';
import { error, quote, warning, type Place } from '../problem.ts';
import type { Problem } from '../../errors/problem.ts';
import { asClass, classNameOf, lineageOf, membersNamed, type ArchiveClass } from './classes.ts';
import { placeOf, type Module, type ModuleGraph, type Node } from './graph.ts';
import { checkParameters } from './route-parameters.ts';
import { parseRoute, type RoutePattern } from './route-pattern.ts';
import { readRouteText } from './route-text.ts';
import { ROUTES } from './routes-list.ts';

export const METHODS = ['get', 'post', 'put', 'patch', 'head', 'options', 'delete'] as const;
const BASE = 'LambdaUserHandler';

export interface Handlers {
  readonly parameters: readonly RouteParameters[];
  readonly problems: readonly Problem[];
}

interface Route {
  readonly handler: string;
  readonly text: string;
  readonly place: Place;
  readonly pattern: RoutePattern;
}

export function checkHandlers(
  graph: ModuleGraph,
  main: Module,
  names: readonly { readonly name: string; readonly node: Node }[],
  staticFiles: readonly string[],
): Handlers {
  const problems: Problem[] = [];
  const routes: Route[] = [];
  const parameters = names.map(({ name, node }): RouteParameters => {
    const handler = ownClass(graph, main, name, node);
    if ('rule' in handler) {
      problems.push(handler);
      return {};
    }
    problems.push(...checkLineage(graph, handler));
    const pattern = checkRoute(graph, handler, problems, routes);
    return checkMethods(handler, pattern, problems);
  });
  problems.push(
    ...checkConflicts(routes),
    ...(staticFiles.length === 0 ? [] : routes.flatMap((route) => checkStatic(route, staticFiles))),
    ...findForgotten(
      graph,
      main,
      names.map(({ name }) => name),
    ),
  );
  return { parameters, problems };
}

/** Rule 3, first half. */
function ownClass(graph: ModuleGraph, main: Module, name: string, node: Node): ArchiveClass | Problem {
  const place = placeOf(main, node);
  const meaning = graph.local(main, name);
  const binding = main.bindings.get(name);
  const found = asClass(meaning);
  if (found && found.module === main && binding?.kind === 'local') return found;
  const mend = `Declare it in lambda_main: class ${name} extends ${BASE} { ... }. Its parents may stand in other modules.`;
  if (!binding)
    return error(
      'handler_missing',
      `${ROUTES} names ${quote(name)}, which lambda_main does not declare`,
      mend,
      place,
    );
  if (binding.kind === 'import')
    return error('handler_elsewhere', `${name} is declared in another module`, mend, place);
  return error('handler_not_class', `${name} is no class`, mend, place);
}

/** Rule 3, second half, and rule 5's: nothing of a route in a parent. */
function checkLineage(graph: ModuleGraph, handler: ArchiveClass): Problem[] {
  const lineage = lineageOf(graph, handler);
  const name = classNameOf(handler);
  const problems: Problem[] = [];
  if (lineage.root.kind !== 'sdk' || lineage.root.name !== BASE)
    problems.push(
      error(
        'handler_base',
        `${name} does not extend ${BASE}${lineage.root.kind === 'unknown' ? ': what it extends can not be followed' : ''}`,
        `Write: class ${name} extends ${BASE}, directly or through classes of the archive.`,
        placeOf(handler.module, handler.node),
      ),
    );
  for (const parent of lineage.classes.slice(1))
    for (const member of ['route', ...METHODS].flatMap((item) => membersNamed(parent.node, item).slice(0, 1)))
      problems.push(
        error(
          'handler_in_parent',
          `${nameOf(member.key)} of ${name} stands in its parent ${classNameOf(parent)}`,
          `Move it into ${name}: route and methods stand in the final class.`,
          placeOf(parent.module, member),
        ),
      );
  return problems;
}

const nameOf = (key: Node): string =>
  key.type === 'Identifier' ? key.name : key.type === 'StringLiteral' ? key.value : '';

function checkRoute(
  graph: ModuleGraph,
  handler: ArchiveClass,
  problems: Problem[],
  routes: Route[],
): RoutePattern | undefined {
  const route = readRouteText(graph, handler);
  if ('rule' in route) {
    problems.push(route);
    return undefined;
  }
  const pattern = parseRoute(route.text);
  if (typeof pattern === 'string') {
    const mend =
      'Patterns are those of Sanic: /items/<id:int>, with str, int, float, uuid, path, alpha, ymd or a regular expression.';
    problems.push(
      error(
        'route_format',
        `route ${quote(route.text)} of ${classNameOf(handler)}: ${pattern}`,
        mend,
        route.place,
      ),
    );
    return undefined;
  }
  routes.push({ handler: classNameOf(handler), text: route.text, place: route.place, pattern });
  return pattern;
}

/** Rule 5, and rule 6 for each method. */
function checkMethods(
  handler: ArchiveClass,
  pattern: RoutePattern | undefined,
  problems: Problem[],
): RouteParameters {
  const { module, node } = handler;
  const names: Record<string, readonly string[]> = {};
  const mend = `Write: async get(${pattern?.parameters.join(', ') ?? ''}) { ... }`;
  let found = 0;
  for (const method of METHODS) {
    const [member, second] = membersNamed(node, method);
    if (!member) continue;
    found++;
    const place = placeOf(module, second ?? member);
    if (second)
      problems.push(
        error('handler_method', `${classNameOf(handler)} has ${method} twice`, 'Keep one.', place),
      );
    else if (member.type !== 'ClassMethod' || member.kind !== 'method' || member.static || member.generator)
      problems.push(
        error('handler_method', `${method} of ${classNameOf(handler)} is no plain method`, mend, place),
      );
    else {
      if (!member.async)
        problems.push(
          error(
            'handler_not_async',
            `${method} of ${classNameOf(handler)} is not async`,
            'Write async before it.',
            place,
          ),
        );
      if (!pattern) continue;
      const checked = checkParameters(handler, member, method, pattern);
      problems.push(...checked.problems);
      if (checked.positional.length > 0) names[method] = checked.positional;
    }
  }
  if (found === 0)
    problems.push(
      error(
        'handler_no_method',
        `${classNameOf(handler)} has none of ${METHODS.join(', ')}`,
        mend,
        placeOf(module, node),
      ),
    );
  return names;
}

/** Answered for every lambda by the product itself. */
export const DEFAULT_ROUTES = ['/healthcheck', '/main', '/docs/spec', '/config'] as const;

/** Rule 7. */
function checkConflicts(routes: readonly Route[]): Problem[] {
  const problems: Problem[] = [];
  for (const [index, route] of routes.entries()) {
    const { handler, text, place, pattern } = route;
    const taken = DEFAULT_ROUTES.filter((path) => pattern.matches(path));
    if (taken.length > 0)
      problems.push(
        error(
          'route_default',
          `route ${quote(text)} of ${handler} matches the default route ${taken.join(', ')}`,
          'Begin it with a part of its own: /items/<name>.',
          place,
        ),
      );
    for (const earlier of routes.slice(0, index)) {
      if (earlier.pattern.shape === pattern.shape)
        problems.push(
          error(
            'route_twice',
            `route ${quote(text)} of ${handler} is that of ${earlier.handler}`,
            'Put the methods into one class.',
            place,
          ),
        );
      else if (earlier.pattern.isStatic && pattern.matches(earlier.text))
        problems.push(overlap(route, earlier));
      else if (pattern.isStatic && earlier.pattern.matches(text)) problems.push(overlap(earlier, route));
    }
  }
  return problems;
}

/** In a lambda with the folder `static/`, its files are found before any added route. */
function checkStatic({ handler, text, place, pattern }: Route, files: readonly string[]): Problem[] {
  const path = text.startsWith('/static/') ? text : files.find((file) => pattern.matches(`/${file}`));
  if (path === undefined) return [];
  return [
    error(
      'route_static',
      `route ${quote(text)} of ${handler} matches ${quote(path)}, where the files of static/ are served`,
      'Begin it with another part, or rename the folder.',
      place,
    ),
  ];
}

/** Usual in APIs (`/items/<id>` beside `/items/new`), and well defined; still worth a word. */
const overlap = (wide: Route, narrow: Route): Problem =>
  warning(
    'route_overlap',
    `route ${quote(wide.text)} of ${wide.handler} also matches ${quote(narrow.text)} of ${narrow.handler}, which wins there`,
    'Give the parameter a narrower type, if that is not meant.',
    wide.place,
  );

/** Handlers that are declared, but stand in no list: they are ignored, which is seldom meant. */
function findForgotten(graph: ModuleGraph, main: Module, listed: readonly string[]): Problem[] {
  const problems: Problem[] = [];
  const classes = [...main.bindings].flatMap(([name, binding]) => {
    const found = binding.kind === 'local' ? asClass(graph.local(main, name)) : undefined;
    return found && found.module === main ? [{ name, found }] : [];
  });
  const parents = new Set(
    classes
      .filter(({ name }) => listed.includes(name))
      .flatMap(({ found }) => lineageOf(graph, found).classes.map(({ node }) => node)),
  );
  for (const { name, found } of classes) {
    if (parents.has(found.node) || membersNamed(found.node, 'route').length === 0) continue;
    const { root } = lineageOf(graph, found);
    if (root.kind === 'sdk' && root.name === BASE)
      problems.push(
        warning(
          'handler_not_listed',
          `${name} is not in ${ROUTES}, and is ignored`,
          `Add it: export const ${ROUTES} = [${[...listed, name].join(', ')}];`,
          placeOf(main, found.node),
        ),
      );
  }
  return problems;
}
