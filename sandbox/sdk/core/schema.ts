import { RequestInvalid } from './exceptions.ts';

/** The Standard Schema interface (standardschema.dev): zod, valibot, arktype and others have it. */
export interface StandardSchema<Output = unknown> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

type SchemaResult<Output> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] };

interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** A Standard Schema, or a function that returns the good value and throws for a bad one. */
export type Validator<Output> = StandardSchema<Output> | ((value: unknown) => Output | Promise<Output>);

const MAX_ISSUES = 10;

/** The checked value; throws RequestInvalid that names what is wrong, and where. */
export async function validate<Output>(
  validator: Validator<Output>,
  value: unknown,
  what: string,
): Promise<Output> {
  // Some libraries' schemas are callable, so the interface is looked for before the function.
  const standard = (validator as Partial<StandardSchema<Output>>)['~standard'];
  if (standard !== undefined) {
    const result = await standard.validate(value);
    if (result.issues === undefined) return result.value;
    throw new RequestInvalid(`${what}: ${result.issues.slice(0, MAX_ISSUES).map(describe).join('; ')}`);
  }
  if (typeof validator !== 'function') {
    throw new TypeError('a validator is a Standard Schema (zod, valibot, ...) or a function');
  }
  try {
    return await validator(value);
  } catch (error) {
    throw new RequestInvalid(`${what}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function describe(issue: SchemaIssue): string {
  const path = (issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.');
  return path === '' ? issue.message : `${path}: ${issue.message}`;
}
