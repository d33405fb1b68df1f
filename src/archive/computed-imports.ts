/**
 * `import()` and `require()` of a name that is computed.
 *
 * esbuild expands a template or a sum that begins with `./` (``import(`./locales/${x}.js`)``) by listing folders of the
 * machine's own disk, without asking any plugin. So such calls must never reach it: their argument is wrapped in a
 * comma expression, which esbuild leaves alone, and which fails when it runs, as there is nothing to import then.
 */
import type { Node } from '@babel/types';
import { isTooDeep, type Language } from './source.ts';
import { parseSource } from './parse.ts';
import type { Problem } from '../errors/problem.ts';
import { walk } from './walk.ts';

/** A call whose argument is no plain string. */
export interface ComputedImport {
  readonly argument: Node;
  readonly line: number;
  /** From 1. */
  readonly column: number;
}

export function findComputedImports(tree: Node): ComputedImport[] {
  const found: ComputedImport[] = [];
  walk(tree, (node) => {
    const argument = argumentOf(node);
    if (argument && !isPlainText(argument) && node.loc)
      found.push({ argument, line: node.loc.start.line, column: node.loc.start.column + 1 });
  });
  return found;
}

function argumentOf(node: Node): Node | undefined {
  if (node.type === 'ImportExpression') return node.source;
  if (node.type !== 'CallExpression') return undefined;
  const { callee, arguments: given } = node;
  const [first] = given;
  if (callee.type === 'Import') return first;
  if (callee.type === 'Identifier' && callee.name === 'require') return first;
  const isRequireResolve =
    callee.type === 'MemberExpression' &&
    callee.object.type === 'Identifier' &&
    callee.object.name === 'require';
  return isRequireResolve ? first : undefined;
}

const isPlainText = (node: Node): boolean =>
  node.type === 'StringLiteral' || (node.type === 'TemplateLiteral' && node.expressions.length === 0);

const GAP = String.raw`(?:\s|/\*[^]*?\*/|//[^\n\r\u2028\u2029]*)*`;
const CALL = new RegExp(String.raw`(?:import|require)${GAP}(?:\.${GAP}\w+${GAP})?(?:\?\.${GAP})?\(`, 'g');
const PLAIN_ARGUMENT = new RegExp(
  String.raw`${GAP}(?:"[^"\\\n\r]*"|'[^'\\\n\r]*'|${'`[^`\\\\$]*`'})${GAP}[,)]`,
  'y',
);

/** False only where the source surely has no computed import; quick, for it reads every vendored file. */
export function mayComputeImports(source: string): boolean {
  // An identifier may be spelt with escapes: \u0072equire.
  const plain = source.includes('\\u')
    ? source.replace(
        /\\u(?:\{0*([0-9a-fA-F]{1,6})\}|([0-9a-fA-F]{4}))/g,
        (all, braced: string, four: string) => {
          const code = Number.parseInt(braced ?? four, 16);
          return code < 0x80 ? String.fromCharCode(code) : all;
        },
      )
    : source;
  CALL.lastIndex = 0;
  while (CALL.test(plain)) {
    PLAIN_ARGUMENT.lastIndex = CALL.lastIndex;
    if (!PLAIN_ARGUMENT.test(plain)) return true;
  }
  return false;
}

/** The source with every computed argument made opaque to esbuild; problems where it can't be parsed to find them. */
export function disarmComputedImports(
  file: string,
  source: string,
  language: Language,
): { source: string; problems: readonly Problem[] } {
  if (isTooDeep(source) || !mayComputeImports(source)) return { source, problems: [] };
  const { tree, problems } = parseSource(file, source, language);
  if (!tree) return { source: '', problems };
  let disarmed = source;
  for (const { argument } of findComputedImports(tree).toSorted(
    (a, b) => endOf(b.argument) - endOf(a.argument),
  )) {
    const start = startOf(argument);
    const end = endOf(argument);
    disarmed = `${disarmed.slice(0, start)}(0,${disarmed.slice(start, end)})${disarmed.slice(end)}`;
  }
  return { source: disarmed, problems: [] };
}

const startOf = (node: Node): number => node.start ?? 0;
const endOf = (node: Node): number => node.end ?? 0;
