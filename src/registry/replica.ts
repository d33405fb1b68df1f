import { setImmediate } from 'node:timers/promises';
import type { MissedChanges, Subject } from '../store/changes.ts';
import type { Repositories, Store } from '../store/store.ts';

/** Keeps memory in step with a store that other hosts write to. */
export interface Replica {
  /** Memory is as the store in the picture that `tx` gives. */
  loaded(tx: Repositories): Promise<void>;
  /**
   * A change of the registry: all of `work` or nothing. No other host changes it meanwhile, and memory has caught up with
   * what they changed before: what is checked against memory inside holds for the store.
   */
  change<T>(work: (tx: Repositories) => Promise<T>): Promise<T>;
  /** Memory has what was committed before the call. */
  catchUp(): Promise<void>;
  close(): void;
}

export interface ReplicaParts {
  readonly store: Pick<Store, 'hosts' | 'exclusive' | 'snapshot'>;
  /** Reads these again and brings memory in step; listeners hear of it as of changes made here. */
  readonly refresh: (tx: Repositories, subjects: readonly Subject[]) => Promise<void>;
  /** All there is in memory and store. */
  readonly everything: (tx: Repositories) => Promise<readonly Subject[]>;
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>;
  readonly onError: (error: unknown, what: string) => void;
}

export function createReplica({ store, refresh, everything, inTurn, onError }: ReplicaParts): Replica {
  const { hosts } = store;
  if (hosts === undefined)
    return {
      loaded: () => Promise.resolve(),
      change: (work) => store.exclusive(work),
      catchUp: () => Promise.resolve(),
      close: () => undefined,
    };

  let applied = 0;
  let catching: Promise<void> | undefined;
  let closed = false;

  async function apply(tx: Repositories): Promise<void> {
    const missed: MissedChanges = await tx.changes.since(applied);
    const subjects = missed.gap ? await everything(tx) : missed.subjects;
    if (subjects.length > 0) await refresh(tx, subjects);
    applied = missed.head;
  }

  const catchUp = (): Promise<void> => inTurn(() => store.snapshot(apply));

  /** Any number of words that come while it runs are answered by one more round. */
  function follow(): void {
    if (closed) return;
    catching ??= (async () => {
      // What was notified in one go is read in one go.
      await setImmediate();
      catching = undefined;
      await catchUp();
    })().catch((error: unknown) => onError(error, 'following the changes of other hosts'));
  }

  hosts.onChanges(follow);
  hosts.onBeat(({ head }) => {
    if (head > applied) follow();
  });

  return {
    async loaded(tx) {
      applied = await tx.changes.head();
    },
    async change(work) {
      const { result, head } = await store.exclusive(async (tx) => {
        await apply(tx);
        const written = await work(tx);
        return { result: written, head: await tx.changes.head() };
      });
      // The caller brings memory in step with its own change, in the same turn.
      applied = head;
      return result;
    },
    catchUp,
    close() {
      closed = true;
    },
  };
}
