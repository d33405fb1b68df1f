/** Rule 8, names imported from lambda-tools exist there; and imports whose name is computed, which no bundle can hold. */
import { findComputedImports } from '../computed-imports.ts';
import { error, quote } from '../problem.ts';
import { sdkPartOf } from '../resolve.ts';
import { SDK_EXPORTS } from '../sdk-exports.ts';
import type { Problem } from '../../errors/problem.ts';
import { placeOf, type Module } from './graph.ts';

export function checkImports(module: Module): Problem[] {
  const problems: Problem[] = [];
  for (const { specifier, name, node } of module.namedImports) {
    const part = sdkPartOf(specifier);
    if (part !== 'lambda-tools' && part !== 'lambda-tools/tasks') continue;
    if (name === 'default' || SDK_EXPORTS[part].includes(name)) continue;
    const elsewhere = part === 'lambda-tools' ? 'lambda-tools/tasks' : 'lambda-tools';
    const mend = SDK_EXPORTS[elsewhere].includes(name)
      ? `Import it from "${elsewhere}".`
      : `It has ${closest(name, SDK_EXPORTS[part]).join(', ')}.`;
    problems.push(
      error('sdk_name', `${quote(specifier)} has no ${quote(name)}`, mend, placeOf(module, node)),
    );
  }
  for (const { line, column } of findComputedImports(module.tree))
    problems.push(
      error(
        'computed_import',
        'the name of an import is computed: what is imported must be known when the lambda is built',
        'Import each module by its plain name, and choose between them: const all = { a: () => import("./a") };',
        { file: module.path, line, column },
      ),
    );
  return problems;
}

/** The few names that share the most letters in order, for a misspelling. */
function closest(name: string, names: readonly string[]): string[] {
  const score = (other: string): number => {
    let at = 0;
    for (const letter of name.toLowerCase().slice(0, 64)) {
      const next = other.toLowerCase().indexOf(letter, at);
      if (next >= 0) at = next + 1;
    }
    return at === 0 ? Infinity : Math.abs(other.length - name.length) + (other.length - at);
  };
  return [...names].sort((a, b) => score(a) - score(b)).slice(0, 5);
}
