import { chmod, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Registry } from './types.ts';

/** What the token of the file is listed as; where several hosts share the store, each has its own. */
const nameOf = (hostName: string | undefined): string =>
  hostName === undefined ? 'operator.token' : `operator.token of ${hostName}`;

/**
 * The operator's token, in a file that only the operator reads. A file that is gone, or whose token is no longer valid,
 * gets a new token, and the one before is revoked: deleting the file and starting again is how to change it.
 */
export async function ensureOperatorToken(
  registry: Pick<Registry, 'authenticate' | 'createToken' | 'tokens' | 'revokeToken'>,
  file: string,
  hostName: string | undefined,
): Promise<void> {
  const ownName = nameOf(hostName);
  const kept = (await readFile(file, 'utf8').catch(() => '')).trim();
  if (kept !== '' && registry.authenticate(kept)?.operator === true) {
    await chmod(file, 0o600);
    return;
  }
  const before = await registry.tokens(null);
  const { token } = await registry.createToken({
    accountId: null,
    scopes: ['admin', 'deploy', 'invoke', 'read'],
    name: ownName,
  });
  await writePrivate(file, `${token}\n`);
  for (const { id, name, revokedAt } of before)
    if (name === ownName && revokedAt === null) await registry.revokeToken(null, id);
}

/** Whole or not at all, and never readable by others, not even while it is written. */
async function writePrivate(path: string, text: string): Promise<void> {
  const draft = `${path}.new`;
  await rm(draft, { force: true });
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
