import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A module that serves itself imports `launch` from it; what that means inside an isolate the builder knows. */
const RUNTIME = 'isolambda';

/**
 * Packages of `node_modules` (as paths in it: `left-pad`, `a/node_modules/b`) that only `devDependencies` lead to.
 * They are tools of the lambda's author and stay out of the archive; everything else that stands in
 * `node_modules` is taken, also packages that were copied there by hand and stand in no package.json.
 */
export function developmentOnly(root: string): ReadonlySet<string> {
  const own = manifest(root);
  const modules = join(root, 'node_modules');
  const wanted = [...names(own.dependencies), ...names(own.optionalDependencies)];
  const production = closure(
    modules,
    wanted.filter((name) => name !== RUNTIME),
  );
  const development = closure(modules, [...names(own.devDependencies), RUNTIME]);
  return new Set([...development].filter((path) => !production.has(path)));
}

function closure(modules: string, first: readonly string[]): Set<string> {
  const seen = new Set<string>();
  const waiting = first.map((name) => ({ name, from: '' }));
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const found = locate(modules, next.name, next.from);
    if (found === undefined || seen.has(found)) continue;
    seen.add(found);
    const of = manifest(join(modules, found));
    for (const name of [
      ...names(of.dependencies),
      ...names(of.optionalDependencies),
      ...names(of.peerDependencies),
    ])
      waiting.push({ name, from: found });
  }
  return seen;
}

/** Looks where Node looks: in the package's own `node_modules`, then outwards. */
function locate(modules: string, name: string, from: string): string | undefined {
  for (let base = from; ; base = base.slice(0, Math.max(0, base.lastIndexOf('/node_modules/')))) {
    const candidate = base === '' ? name : `${base}/node_modules/${name}`;
    if (existsSync(join(modules, candidate))) return candidate;
    if (base === '') return undefined;
  }
}

function manifest(folder: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {};
  } catch {
    // No package.json, or one that the build will complain about with line and column.
    return {};
  }
}

const names = (given: unknown): string[] =>
  typeof given === 'object' && given !== null ? Object.keys(given) : [];
