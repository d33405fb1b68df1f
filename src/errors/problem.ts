/** One thing wrong, or worth a warning, in an archive: where, which rule, and the mend. */
export interface Problem {
  readonly severity: 'error' | 'warning';
  /** Short name of the rule: `main_missing`, `syntax`, `route_parameters`, `zip_traversal`. */
  readonly rule: string;
  readonly message: string;
  readonly mend: string;
  /** Path in the archive; absent where the archive itself is at fault. */
  readonly file?: string | undefined;
  /** From 1. */
  readonly line?: number | undefined;
  /** From 1. */
  readonly column?: number | undefined;
}
