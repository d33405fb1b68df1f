import Sqlite from 'better-sqlite3';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { IsolambdaError } from '../errors/error.ts';

/**
 * One host writes to a data folder. The lock is an exclusive SQLite transaction on a file of its own: the operating
 * system frees it when the process ends, however it ends, so no stale lock file is ever left to be judged.
 * (Nothing else may open and close `store.lock` in this process: POSIX would drop the lock with the first close.)
 */
export async function lockDataDir(dataDir: string): Promise<() => void> {
  const lock = new Sqlite(join(dataDir, 'store.lock'), { timeout: 0 });
  const owner = join(dataDir, 'store.owner');
  try {
    lock.pragma('journal_mode = delete');
    lock.exec('begin exclusive');
  } catch (cause) {
    lock.close();
    if (!(cause instanceof Sqlite.SqliteError) || !cause.code.startsWith('SQLITE_BUSY')) throw cause;
    const pid = (await readFile(owner, 'utf8').catch(() => '')).trim();
    throw new IsolambdaError(
      'configuration',
      `another isolambda host${pid === '' ? '' : ` (process ${pid})`} has the data folder ${dataDir}: stop it, or give this one its own with --data-dir`,
      { cause },
    );
  }
  await writeFile(owner, `${process.pid}\n`, { mode: 0o600 });
  return () => lock.close();
}
