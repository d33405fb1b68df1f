/**
 * The shapes that every resource shares. A schema with an `$id` becomes a named component of the OpenAPI document.
 */
import { Type, type Static, type TProperties, type TSchema, type TUnsafe } from 'typebox';

/** An object that refuses keys it does not know: a misspelt parameter would otherwise be passed over in silence. */
export const closed = <const P extends TProperties>(properties: P, options: Record<string, unknown> = {}) =>
  Type.Object(properties, { ...options, additionalProperties: false });

/** One of some texts, as a plain JSON Schema `enum` (a union of constants reads badly in the reference). */
export const oneOf = <const V extends readonly string[]>(
  values: V,
  options: Record<string, unknown> = {},
): TUnsafe<V[number]> => Type.Unsafe<V[number]>({ type: 'string', enum: [...values], ...options });

export const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

/** A reference to a named schema, with its type kept. Used in replies only: requests are checked against the schema itself. */
export const ref = <T extends TSchema>(schema: T): TUnsafe<Static<T>> => {
  const { $id } = schema as { $id?: string };
  if ($id === undefined) throw new TypeError('only a schema with an $id can be referred to');
  return Type.Unsafe<Static<T>>({ $ref: `${$id}#` });
};

export const Uuid = Type.String({
  pattern: '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$',
  examples: ['0b9f7c52-2f0c-4a3e-9d0e-6e7e3f6a7c11'],
});

export const Timestamp = Type.String({
  description: 'RFC 3339, in UTC.',
  examples: ['2026-10-26T12:00:00.000Z'],
});

/** A value that JSON can hold. */
export const AnyJson = Type.Unknown({ description: 'Any JSON value.' });
/** An object with any keys. */
export const JsonObject = Type.Record(Type.String(), Type.Unknown(), { description: 'Any JSON object.' });

export const PAGE_SIZE = { default: 100, max: 1_000 } as const;

/** `page` and `page_size`, for every list. */
export const paging = {
  page: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000, default: 1, description: 'From 1.' })),
  page_size: Type.Optional(Type.Integer({ minimum: 1, maximum: PAGE_SIZE.max, default: PAGE_SIZE.default })),
};
export const Paging = closed(paging);
export type Paging = Static<typeof Paging>;

/** Query parameter by which the operator acts for an account, like the header `Luna-Account-Id`. */
export const forAccount = {
  account_id: Type.Optional(
    Type.String({
      ...Uuid,
      description: 'The operator acts for this account; an account may name only itself.',
    }),
  ),
};
export const ForAccount = closed(forAccount);

/** A page of a list. `total` counts what the filters let through, over all pages. */
export const pageOf = <T extends TSchema>(items: T, $id: string) =>
  closed(
    {
      items: Type.Array(items),
      total: Type.Integer({ minimum: 0, description: 'Over all pages.' }),
      page: Type.Integer({ minimum: 1 }),
      page_size: Type.Integer({ minimum: 1 }),
    },
    { $id },
  );

/** The body of every error. `problems` is there where more than one thing can be wrong at once. */
export const ErrorReply = closed(
  {
    error_code: Type.Integer({ examples: [42001] }),
    desc: Type.String({ description: 'What the code means.', examples: ['Lambda not found'] }),
    detail: Type.String({ description: 'What happened this time.' }),
    link: Type.String({ description: 'Where this code is explained.', examples: ['/docs/errors#42001'] }),
    problems: Type.Optional(Type.Array(Type.Unknown())),
    stack: Type.Optional(Type.String({ description: "The lambda's stack, where debug_errors asks for it." })),
  },
  { $id: 'Error', description: 'Every error has this body.' },
);
export type ErrorReply = Static<typeof ErrorReply>;
