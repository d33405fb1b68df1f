/** What the routes' schemas have in common. */
import { Type, type TSchema } from 'typebox';
import { ERRORS, type ErrorName } from '../errors/table.ts';
import { closed, ErrorReply, ref } from '../schemas/index.ts';

export const LambdaPath = closed({
  lambda_id: Type.String({ maxLength: 64, description: 'Id of the lambda.' }),
});
export const AccountPath = closed({
  account_id: Type.String({ maxLength: 64, description: 'Id of the account.' }),
});
export const TokenPath = closed({
  account_id: Type.String({ maxLength: 64 }),
  token_id: Type.String({ maxLength: 64 }),
});
/** A path that takes no query, or only the operator's `account_id`. */
export { ForAccount } from '../schemas/index.ts';

const EVERY_ROUTE: readonly ErrorName[] = ['unauthorized', 'forbidden', 'too_many_failures', 'internal'];

/** The replies of a route: its good ones, and the errors of the table that it can end with, by status. */
export function replies<const R extends Record<number, TSchema>>(
  good: R,
  errors: readonly ErrorName[] = [],
  everyRoute: readonly ErrorName[] = EVERY_ROUTE,
): R {
  const byStatus = new Map<number, Map<number, string>>();
  for (const name of [...errors, ...everyRoute]) {
    const { status, code, desc } = ERRORS[name];
    const codes = byStatus.get(status) ?? new Map<number, string>();
    byStatus.set(status, codes.set(code, desc));
  }
  const refused = [...byStatus].map(([status, codes]) => {
    const description = [...codes].map(([code, desc]) => `\`${code}\` ${desc}`).join('; ');
    return [status, { ...ref(ErrorReply), description }];
  });
  const done = Object.entries(good).map(([status, schema]) => [
    status,
    { ...schema, description: described(schema) ?? REASONS[Number(status)] ?? 'Done.' },
  ]);
  return { ...(Object.fromEntries(refused) as object), ...(Object.fromEntries(done) as R) };
}

const REASONS: Readonly<Record<number, string>> = { 200: 'OK', 201: 'Made.', 503: 'Not ready.' };
const described = (schema: TSchema): string | undefined => (schema as { description?: string }).description;

/** A reply without a body. */
export const NoContent = Type.Null({ description: 'Done.' });

/** A reply that is not JSON. */
export const binary = (contentType: string, description: string): TSchema =>
  Type.Unsafe<Uint8Array>({
    description,
    content: { [contentType]: { schema: { type: 'string', format: 'binary' } } },
  });
