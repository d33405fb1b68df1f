/** What one module declares, imports and exports at its top level. */
import type { Declaration, File, Identifier, Node, StringLiteral } from '@babel/types';
import type { ImportKind } from '../resolve.ts';
import { walk } from '../walk.ts';

export type Binding =
  | { readonly kind: 'import'; readonly how: 'import'; readonly specifier: string; readonly name: string }
  | {
      readonly kind: 'local';
      readonly how: 'const' | 'let' | 'function' | 'class' | 'expression' | 'import';
      /** The declaration, or what a variable is set to; absent where that is not one expression. */
      readonly node: Node | undefined;
    };

export type Export =
  | { readonly kind: 'local'; readonly name: string; readonly node: Node }
  | { readonly kind: 'from'; readonly specifier: string; readonly name: string; readonly node: Node }
  | { readonly kind: 'node'; readonly node: Node };

export interface NamedImport {
  readonly specifier: string;
  readonly name: string;
  readonly node: Node;
}

export interface ModuleNames {
  readonly bindings: ReadonlyMap<string, Binding>;
  readonly exports: ReadonlyMap<string, Export>;
  /** Specifiers of `export * from`. */
  readonly exportsAll: readonly string[];
  /** Every module that this one loads, types aside. */
  readonly imports: readonly { readonly specifier: string; readonly kind: ImportKind }[];
  /** `import { name } from "specifier"` and `export { name } from "specifier"`, types aside. */
  readonly namedImports: readonly NamedImport[];
  /** Has neither imports nor exports, but sets `module.exports` or `exports.x`. */
  readonly isCommonJs: boolean;
}

export function readModule(tree: File): ModuleNames {
  const bindings = new Map<string, Binding>();
  const exports = new Map<string, Export>();
  const exportsAll: string[] = [];
  const namedImports: NamedImport[] = [];
  let isModule = false;

  const declare = (declaration: Declaration | Node): string[] => {
    const names: string[] = [];
    const add = (
      name: string,
      how: 'const' | 'let' | 'function' | 'class' | 'expression',
      node: Node | undefined,
    ): void => {
      names.push(name);
      bindings.set(name, { kind: 'local', how, node });
    };
    switch (declaration.type) {
      case 'FunctionDeclaration':
        if (declaration.id) add(declaration.id.name, 'function', declaration);
        break;
      case 'ClassDeclaration':
        if (declaration.id && !declaration.declare) add(declaration.id.name, 'class', declaration);
        break;
      case 'VariableDeclaration':
        if (declaration.declare) break;
        for (const { id, init } of declaration.declarations) {
          if (id.type === 'Identifier')
            add(id.name, declaration.kind === 'const' ? 'const' : 'let', init ?? undefined);
          else for (const name of patternNames(id)) add(name, 'let', undefined);
        }
        break;
      case 'TSEnumDeclaration':
        add(declaration.id.name, 'expression', declaration);
        break;
      default:
    }
    return names;
  };

  for (const statement of tree.program.body) {
    switch (statement.type) {
      case 'ImportDeclaration': {
        isModule = true;
        if (statement.importKind === 'type') break;
        const specifier = statement.source.value;
        for (const item of statement.specifiers) {
          if (item.type === 'ImportSpecifier' && item.importKind === 'type') continue;
          const name =
            item.type === 'ImportSpecifier'
              ? nameOf(item.imported)
              : item.type === 'ImportDefaultSpecifier'
                ? 'default'
                : '*';
          bindings.set(item.local.name, { kind: 'import', how: 'import', specifier, name });
          if (item.type === 'ImportSpecifier') namedImports.push({ specifier, name, node: item });
        }
        break;
      }
      case 'ExportNamedDeclaration': {
        isModule = true;
        if (statement.exportKind === 'type') break;
        if (statement.declaration)
          for (const name of declare(statement.declaration))
            exports.set(name, { kind: 'local', name, node: statement.declaration });
        const specifier = statement.source?.value;
        for (const item of statement.specifiers) {
          if (item.type === 'ExportSpecifier' && 'exportKind' in item && item.exportKind === 'type') continue;
          const exported = nameOf(item.exported);
          const name =
            item.type === 'ExportSpecifier'
              ? nameOf(item.local)
              : item.type === 'ExportNamespaceSpecifier'
                ? '*'
                : 'default';
          if (specifier === undefined) exports.set(exported, { kind: 'local', name, node: item });
          else {
            exports.set(exported, { kind: 'from', specifier, name, node: item });
            if (item.type === 'ExportSpecifier') namedImports.push({ specifier, name, node: item });
          }
        }
        break;
      }
      case 'ExportAllDeclaration':
        isModule = true;
        if (statement.exportKind !== 'type') exportsAll.push(statement.source.value);
        break;
      case 'ExportDefaultDeclaration': {
        isModule = true;
        declare(statement.declaration);
        exports.set('default', { kind: 'node', node: statement.declaration });
        break;
      }
      default:
        declare(statement);
    }
  }
  const { imports, setsExports } = readCalls(tree);
  return { bindings, exports, exportsAll, imports, namedImports, isCommonJs: !isModule && setsExports };
}

const nameOf = (node: Identifier | StringLiteral): string =>
  node.type === 'Identifier' ? node.name : node.value;

function patternNames(pattern: Node): string[] {
  const names: string[] = [];
  walk(pattern, (node) => {
    if (node.type === 'Identifier') names.push(node.name);
  });
  return names;
}

/** Imports anywhere in the module, `import()` and `require()` of plain names among them. */
function readCalls(tree: File): { imports: { specifier: string; kind: ImportKind }[]; setsExports: boolean } {
  const imports: { specifier: string; kind: ImportKind }[] = [];
  let setsExports = false;
  walk(tree.program, (node) => {
    const isTypeOnly =
      ('importKind' in node && node.importKind === 'type') ||
      ('exportKind' in node && node.exportKind === 'type');
    switch (node.type) {
      case 'ImportDeclaration':
      case 'ExportNamedDeclaration':
      case 'ExportAllDeclaration':
        if (node.source && !isTypeOnly) imports.push({ specifier: node.source.value, kind: 'import' });
        break;
      case 'ImportExpression':
        if (node.source.type === 'StringLiteral')
          imports.push({ specifier: node.source.value, kind: 'import' });
        break;
      case 'CallExpression': {
        const [first] = node.arguments;
        if (
          node.callee.type === 'Identifier' &&
          node.callee.name === 'require' &&
          first?.type === 'StringLiteral'
        )
          imports.push({ specifier: first.value, kind: 'require' });
        break;
      }
      case 'AssignmentExpression':
        if (node.left.type === 'MemberExpression' && isExportsObject(node.left)) setsExports = true;
        break;
      default:
    }
  });
  return { imports, setsExports };
}

function isExportsObject(node: Node): boolean {
  if (node.type === 'Identifier') return node.name === 'exports';
  if (node.type !== 'MemberExpression') return false;
  const isModuleExports =
    node.object.type === 'Identifier' &&
    node.object.name === 'module' &&
    node.property.type === 'Identifier' &&
    node.property.name === 'exports';
  return isModuleExports || isExportsObject(node.object);
}
