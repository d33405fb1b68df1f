import { IsolambdaError } from '../errors/error.ts';
import {
  bubblewrapJail,
  plainJail,
  type BubblewrapJail,
  type Jail,
  type JailParts,
  type OuterUser,
} from './jail.ts';

export type JailMode = 'auto' | 'bubblewrap' | 'none';

export interface JailChoice {
  readonly mode: JailMode;
  /** Refuses to go without a wall that was not waived in so many words. */
  readonly production: boolean;
  /** Passed in by tests; by default bubblewrap as it is on this machine. */
  readonly makeBubblewrap?: ((parts: JailParts, user: OuterUser) => Promise<BubblewrapJail>) | undefined;
  /** Whether the host runs as root. */
  readonly root?: boolean | undefined;
}

const MEND =
  'Install bubblewrap and util-linux, and allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, or on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0); or set sandbox.jail: none, which leaves only Node between a tenant that escapes V8 and this machine.';

/**
 * The wall for all runners of this host. `auto` takes bubblewrap where Node really boots in it, and otherwise says why not in `reason`.
 * Rejects with IsolambdaError `configuration` where bubblewrap was asked for (`bubblewrap`, or `auto` in production) and does not work.
 */
export async function chooseJail(parts: JailParts, choice: JailChoice): Promise<Jail> {
  if (choice.mode === 'none') return plainJail(parts, 'sandbox.jail is none');
  const { root = process.getuid?.() === 0, makeBubblewrap = bubblewrapJail } = choice;
  const users: OuterUser[] = root ? ['nobody', 'same'] : ['same'];
  const failures: string[] = [];
  for (const user of users) {
    try {
      const jail = await makeBubblewrap(parts, user);
      const why = await jail.probe();
      if (why === undefined) return jail;
      failures.push(user === 'nobody' ? `as nobody: ${why}` : why);
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  const reason = `bubblewrap does not work here: ${[...new Set(failures)].join('; ')}`;
  if (choice.mode === 'bubblewrap' || choice.production) {
    const asked =
      choice.mode === 'bubblewrap'
        ? 'sandbox.jail is bubblewrap'
        : 'NODE_ENV is production and sandbox.jail is auto';
    throw new IsolambdaError('configuration', `${asked}, but ${reason}. ${MEND}`);
  }
  return plainJail(parts, reason);
}
