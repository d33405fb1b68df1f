/** What a token may do. */
export const SCOPES = ['admin', 'deploy', 'invoke', 'read'] as const;
export type Scope = (typeof SCOPES)[number];

export const SCOPE_MEANINGS: Readonly<Record<Scope, string>> = {
  admin: 'all that its account may do, tokens included',
  deploy: 'create, change and delete lambdas, and read',
  invoke: 'call lambdas, and run tasks',
  read: 'look at lambdas, tasks, logs, quota and usage',
};

/** Which scopes let a token do what needs `needed`: `admin` holds all, `deploy` can read what it deployed. */
export function scopeCovers(held: Iterable<string>, needed: Scope): boolean {
  for (const scope of held)
    if (scope === needed || scope === 'admin' || (scope === 'deploy' && needed === 'read')) return true;
  return false;
}
