import type { Node } from '@babel/types';

/** Visits a node and all below it, parents first. A stack of its own, so that no tree is too deep for it. */
export function walk(root: Node, visit: (node: Node) => void): void {
  const open: Node[] = [root];
  for (let node = open.pop(); node; node = open.pop()) {
    visit(node);
    const below: Node[] = [];
    for (const value of Object.values(node)) {
      if (Array.isArray(value)) below.push(...value.filter(isNode));
      else if (isNode(value)) below.push(value);
    }
    for (let index = below.length - 1; index >= 0; index--) open.push(below[index]!);
  }
}

/** Positions and comments are objects too, but have no text as their type besides a comment's. */
const isNode = (value: unknown): value is Node =>
  typeof value === 'object' &&
  value !== null &&
  'type' in value &&
  typeof value.type === 'string' &&
  !value.type.startsWith('Comment');
