/** A class and the classes that it extends, through the modules of the archive, down to one of lambda-tools. */
import type { Class, ClassMethod, ClassProperty } from '@babel/types';
import type { Meaning, Module, ModuleGraph, Node } from './graph.ts';

export interface ArchiveClass {
  readonly module: Module;
  readonly node: Class;
}

export interface Lineage {
  /** The class itself first, then its parents. */
  readonly classes: readonly ArchiveClass[];
  /** What the last one extends: a class of lambda-tools, nothing, or something that can't be followed. */
  readonly root: { readonly kind: 'sdk'; readonly name: string } | { readonly kind: 'none' | 'unknown' };
}

const MAX_PARENTS = 50;

export const asClass = (meaning: Meaning): ArchiveClass | undefined =>
  meaning.kind === 'node' &&
  (meaning.node.type === 'ClassDeclaration' || meaning.node.type === 'ClassExpression')
    ? { module: meaning.module, node: meaning.node }
    : undefined;

export function lineageOf(graph: ModuleGraph, start: ArchiveClass): Lineage {
  const classes = [start];
  let { module, node } = start;
  while (node.superClass) {
    const meaning = graph.meaning(module, node.superClass);
    if (meaning.kind === 'sdk') return { classes, root: { kind: 'sdk', name: meaning.name } };
    const parent = asClass(meaning);
    const repeats = classes.some((item) => item.node === parent?.node);
    if (!parent || repeats || classes.length >= MAX_PARENTS) return { classes, root: { kind: 'unknown' } };
    classes.push(parent);
    ({ module, node } = parent);
  }
  return { classes, root: { kind: 'none' } };
}

export type Member = ClassMethod | ClassProperty;

/** Members with a plain name, in order; computed and private ones are nobody's business. */
export function membersNamed(node: Class, name: string): Member[] {
  return node.body.body.filter(
    (member): member is Member =>
      (member.type === 'ClassMethod' || member.type === 'ClassProperty') &&
      !member.computed &&
      keyOf(member.key) === name &&
      !('declare' in member && member.declare),
  );
}

const keyOf = (key: Node): string | undefined =>
  key.type === 'Identifier' ? key.name : key.type === 'StringLiteral' ? key.value : undefined;

export const classNameOf = ({ node }: ArchiveClass): string => node.id?.name ?? 'class';
