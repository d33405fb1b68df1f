/** The tenant's code as a tree, by @babel/parser. Parsed, never run. */
import { parse, type ParserPlugin } from '@babel/parser';
import type { File } from '@babel/types';
import { error } from './problem.ts';
import { isTooDeep, tooDeep, type Language } from './source.ts';
import type { Problem } from '../errors/problem.ts';

export interface Parsed {
  /** Absent where the parser could not go on. */
  readonly tree: File | undefined;
  readonly problems: readonly Problem[];
}

const PLUGINS: Readonly<Record<Language, ParserPlugin[]>> = {
  ts: ['typescript', 'decorators'],
  tsx: ['typescript', 'jsx', 'decorators'],
  js: ['decorators'],
  jsx: ['jsx', 'decorators'],
};

/** All syntax errors that the parser can recover from are told, and the one that it can't. */
export function parseSource(file: string, source: string, language: Language): Parsed {
  if (isTooDeep(source)) return { tree: undefined, problems: [tooDeep(file)] };
  try {
    const tree = parse(source, {
      sourceType: /\.c[jt]s$/.test(file) ? 'commonjs' : 'module',
      // Top-level await and undeclared exports are told by rules of their own, or by the bundler.
      allowAwaitOutsideFunction: true,
      errorRecovery: true,
      attachComment: false,
      plugins: PLUGINS[language],
    });
    return { tree, problems: tree.errors.map((found) => syntaxProblem(file, found)) };
  } catch (thrown) {
    if (thrown instanceof RangeError) return { tree: undefined, problems: [tooDeep(file)] };
    return { tree: undefined, problems: [syntaxProblem(file, thrown)] };
  }
}

function syntaxProblem(file: string, thrown: unknown): Problem {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  const place = { file, ...locOf(thrown) };
  // Babel repeats the place at the end of its message: "... (3:14)".
  return error('syntax', text.replace(/\s*\(\d+:\d+\)$/, ''), 'Mend the syntax at this place.', place);
}

function locOf(thrown: unknown): { line?: number; column?: number } {
  if (typeof thrown !== 'object' || thrown === null || !('loc' in thrown)) return {};
  const { loc } = thrown;
  if (typeof loc !== 'object' || loc === null || !('line' in loc) || !('column' in loc)) return {};
  return { line: Number(loc.line), column: Number(loc.column) + 1 };
}
