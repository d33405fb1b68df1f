/**
 * Platform objects that `structuredClone` knows. Each class registers itself when it is first evaluated, so that
 * cloning plain data does not have to evaluate Blob, DOMException or CryptoKey.
 */
export interface CloneRule {
  is(value: object): boolean;
  /** Absent for platform objects that must not be cloned: they give a DataCloneError. */
  clone?(value: object): object;
}

const rules: CloneRule[] = [];

export function registerCloneable(rule: CloneRule): void {
  rules.push(rule);
}

export function cloneRuleFor(value: object): CloneRule | undefined {
  for (const rule of rules) if (rule.is(value)) return rule;
  return undefined;
}
