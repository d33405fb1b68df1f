import { Type, type Static } from 'typebox';
import { closed, nullable, oneOf, pageOf, paging, ref, Timestamp, Uuid } from './common.ts';
import { SCOPES, SCOPE_MEANINGS } from './scopes.ts';

export const AccountName = Type.String({
  minLength: 1,
  maxLength: 128,
  pattern: '^[^\\u0000-\\u001f\\u007f]*$',
  examples: ['acme'],
});

export const AccountCreate = closed(
  {
    name: AccountName,
    account_id: Type.Optional(
      Type.String({ ...Uuid, description: 'Where the account lives elsewhere too; by default a new one.' }),
    ),
  },
  { examples: [{ name: 'acme' }] },
);
export type AccountCreate = Static<typeof AccountCreate>;
export const AccountPatch = closed({ name: AccountName });
export type AccountPatch = Static<typeof AccountPatch>;

export const AccountCreated = closed({ account_id: Uuid }, { $id: 'AccountCreated' });
export type AccountCreated = Static<typeof AccountCreated>;

export const Account = closed(
  {
    account_id: Uuid,
    name: Type.String(),
    created_at: Timestamp,
    updated_at: Timestamp,
    lambdas: Type.Integer({ minimum: 0, description: 'How many it has.' }),
  },
  { $id: 'Account' },
);
export type Account = Static<typeof Account>;

export const AccountList = pageOf(ref(Account), 'AccountList');
export type AccountList = Static<typeof AccountList>;
export const AccountQuery = closed({
  ...paging,
  name: Type.Optional(Type.String({ maxLength: 128, description: 'Part of the name, case ignored.' })),
});
export type AccountQuery = Static<typeof AccountQuery>;

export const ScopeName = oneOf(SCOPES, {
  description: SCOPES.map((scope) => `\`${scope}\`: ${SCOPE_MEANINGS[scope]}`).join('; ') + '.',
});

export const TokenCreate = closed(
  {
    scopes: Type.Array(ScopeName, { minItems: 1, maxItems: SCOPES.length, uniqueItems: true }),
    name: Type.Optional(
      Type.String({ maxLength: 128, description: 'To tell tokens apart.', examples: ['ci'] }),
    ),
    expires_at: Type.Optional(
      nullable(Type.String({ maxLength: 40, description: 'RFC 3339. Never, where it is left out.' })),
    ),
  },
  { examples: [{ scopes: ['deploy', 'invoke'], name: 'ci' }] },
);
export type TokenCreate = Static<typeof TokenCreate>;

const tokenFields = {
  token_id: Type.String(),
  name: Type.String(),
  scopes: Type.Array(ScopeName),
  created_at: Timestamp,
  expires_at: nullable(Timestamp),
  revoked_at: nullable(Timestamp),
};
export const TokenCreated = closed(
  { ...tokenFields, token: Type.String({ description: 'Shown this once; only its hash is kept.' }) },
  { $id: 'TokenCreated' },
);
export type TokenCreated = Static<typeof TokenCreated>;

export const Token = closed(tokenFields, { $id: 'Token' });
export type Token = Static<typeof Token>;
export const TokenList = pageOf(ref(Token), 'TokenList');
export type TokenList = Static<typeof TokenList>;
