/**
 * The tenant's modules and what their names mean, as far as the top level of each goes: which declaration an export or an
 * identifier stands for, through imports and re-exports between modules of the archive. Vendored packages are not read.
 */
import type { File, Node } from '@babel/types';
import type { ArchiveFiles } from '../intake.ts';
import { parseSource } from '../parse.ts';
import type { Place } from '../problem.ts';
import { createResolver, sdkPartOf, type ArchiveResolver, type SdkPart } from '../resolve.ts';
import { decodeSource, isVendored, languageOf } from '../source.ts';
import type { Problem } from '../../errors/problem.ts';
import { readModule, type Binding, type ModuleNames } from './module-names.ts';

export interface Module extends ModuleNames {
  readonly path: string;
  readonly tree: File;
}

/** What a name stands for. */
export type Meaning =
  /** A declaration or expression of the archive. `how` says by what it was declared. */
  | { readonly kind: 'node'; readonly module: Module; readonly node: Node; readonly how: Binding['how'] }
  | { readonly kind: 'sdk'; readonly part: SdkPart; readonly name: string }
  | { readonly kind: 'sdk_namespace'; readonly part: SdkPart }
  | { readonly kind: 'namespace'; readonly module: Module }
  /** From a package, from JSON, or by a pattern: it exists, but is not looked into. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'missing' };

/** Longest chain of names that stand for names. */
const MAX_HOPS = 100;
const MISSING: Meaning = { kind: 'missing' };
const UNKNOWN: Meaning = { kind: 'unknown' };

export class ModuleGraph {
  readonly #files: ArchiveFiles;
  readonly #resolver: ArchiveResolver;
  readonly #modules = new Map<string, Module | undefined>();
  readonly #problems: Problem[] = [];

  constructor(files: ArchiveFiles) {
    this.#files = files;
    this.#resolver = createResolver(files);
  }

  /** Syntax errors of the modules read so far. */
  get problems(): readonly Problem[] {
    return this.#problems;
  }

  /** A module of the tenant's own; undefined for vendored, missing and unreadable ones. Parsed once. */
  module(path: string): Module | undefined {
    if (this.#modules.has(path)) return this.#modules.get(path);
    this.#modules.set(path, undefined);
    const module = this.#read(path);
    this.#modules.set(path, module);
    return module;
  }

  #read(path: string): Module | undefined {
    const bytes = this.#files.get(path);
    const language = languageOf(path);
    if (!bytes || !language || isVendored(path)) return undefined;
    const source = decodeSource(path, bytes);
    if (typeof source !== 'string') {
      this.#problems.push(source);
      return undefined;
    }
    const { tree, problems } = parseSource(path, source, language);
    this.#problems.push(...problems);
    return tree && { path, tree, ...readModule(tree) };
  }

  /** All of the tenant's modules that `main` reaches, itself first. */
  reachable(main: string): Module[] {
    const found: Module[] = [];
    const open = [main];
    const seen = new Set(open);
    for (let path = open.shift(); path !== undefined; path = open.shift()) {
      const module = this.module(path);
      if (!module) continue;
      found.push(module);
      for (const { specifier, kind } of module.imports) {
        const target = this.#resolver.resolve(specifier, path, kind);
        if (target.kind !== 'file' || seen.has(target.path)) continue;
        seen.add(target.path);
        open.push(target.path);
      }
    }
    return found;
  }

  /** The path of a module that is named as in an import at the root; undefined where there is none. */
  locate(specifier: string): string | undefined {
    const target = this.#resolver.resolve(specifier, 'lambda_main.js', 'import');
    return target.kind === 'file' ? target.path : undefined;
  }

  /** What `import { name } from "module"` gives. */
  exported(module: Module, name: string, hops = 0): Meaning {
    if (hops > MAX_HOPS) return MISSING;
    const own = module.exports.get(name);
    if (own) {
      if (own.kind === 'local') return this.local(module, own.name, hops + 1);
      if (own.kind === 'node') return { kind: 'node', module, node: own.node, how: 'const' };
      return this.#imported(module, own.specifier, own.name, hops + 1);
    }
    if (name === 'default') return MISSING;
    let outside = false;
    for (const specifier of module.exportsAll) {
      const found = this.#imported(module, specifier, name, hops + 1);
      if (found.kind === 'unknown') outside = true;
      else if (found.kind !== 'missing') return found;
    }
    return outside ? UNKNOWN : MISSING;
  }

  /** What an identifier at the top level of a module stands for. */
  local(module: Module, name: string, hops = 0): Meaning {
    if (hops > MAX_HOPS) return MISSING;
    const binding = module.bindings.get(name);
    if (!binding) return MISSING;
    if (binding.kind === 'import') return this.#imported(module, binding.specifier, binding.name, hops + 1);
    if (!binding.node) return UNKNOWN;
    const meaning: Meaning = { kind: 'node', module, node: binding.node, how: binding.how };
    return binding.how === 'const' ? this.meaning(module, binding.node, hops + 1, meaning) : meaning;
  }

  /** What an expression stands for: names and members of namespaces are followed, anything else stands for itself. */
  meaning(module: Module, expression: Node, hops = 0, self?: Meaning): Meaning {
    const node = unwrap(expression);
    if (node.type === 'Identifier') return this.local(module, node.name, hops + 1);
    if (node.type === 'MemberExpression') {
      const name = memberName(node);
      const object = this.meaning(module, node.object, hops + 1);
      if (name !== undefined && object.kind === 'sdk_namespace')
        return { kind: 'sdk', part: object.part, name };
      if (name !== undefined && object.kind === 'namespace')
        return this.exported(object.module, name, hops + 1);
    }
    return self ?? { kind: 'node', module, node, how: 'expression' };
  }

  #imported(module: Module, specifier: string, name: string, hops: number): Meaning {
    const part = sdkPartOf(specifier);
    if (part === 'lambda-tools' || part === 'lambda-tools/tasks')
      return name === '*' || name === 'default'
        ? { kind: 'sdk_namespace', part }
        : { kind: 'sdk', part, name };
    const target = this.#resolver.resolve(specifier, module.path, 'import');
    if (target.kind !== 'file') return UNKNOWN;
    const found = this.module(target.path);
    if (!found || found.isCommonJs) return UNKNOWN;
    return name === '*' ? { kind: 'namespace', module: found } : this.exported(found, name, hops + 1);
  }
}

const memberName = (node: Node & { type: 'MemberExpression' }): string | undefined => {
  if (!node.computed && node.property.type === 'Identifier') return node.property.name;
  return node.computed && node.property.type === 'StringLiteral' ? node.property.value : undefined;
};

/** An expression without what only TypeScript or parentheses add to it. */
export function unwrap(node: Node): Node {
  let inner = node;
  while (
    inner.type === 'TSAsExpression' ||
    inner.type === 'TSSatisfiesExpression' ||
    inner.type === 'TSNonNullExpression' ||
    inner.type === 'TSTypeAssertion' ||
    inner.type === 'ParenthesizedExpression'
  )
    inner = inner.expression;
  return inner;
}

/** Where a node stands, counted from 1. */
export function placeOf(module: Module, node: Node | null | undefined): Place {
  const start = node?.loc?.start;
  return start ? { file: module.path, line: start.line, column: start.column + 1 } : { file: module.path };
}

export type { Node };
