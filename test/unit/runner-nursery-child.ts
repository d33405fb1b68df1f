/**
 * The other half of runner-nursery.test.ts: a process of its own, which ends by SIGKILL, because isolated-vm may abort one that
 * ends while isolates are there. Prints one JSON line.
 */
import ivm from 'isolated-vm';
import { writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { Nursery } from '../../sandbox/runner/nursery.ts';

export interface Seen {
  readonly first: { readonly isAhead: boolean; readonly ran: unknown };
  readonly second: { readonly isAhead: boolean; readonly made: number };
  /** Of a lambda with another heap, and of one that is profiled. */
  readonly others: readonly { readonly memoryMb: number; readonly disposed: readonly boolean[] }[];
  readonly broken: readonly string[];
  readonly brokenIsAhead: boolean;
  readonly leastMb: number;
}

/** A nursery whose isolates are noted as they are made; its guest's script tells by a global that it has run. */
function nursery(source = 'globalThis.ran = true; (function boot() {})'): {
  readonly from: Nursery;
  readonly made: readonly ivm.Isolate[];
} {
  const made: ivm.Isolate[] = [];
  const Isolate = new Proxy(ivm.Isolate, {
    construct(target, args) {
      const isolate = Reflect.construct(target, args) as ivm.Isolate;
      made.push(isolate);
      return isolate;
    },
  });
  const parts = { ivm: { ...ivm, Isolate }, guest: { source, cache: undefined } };
  return { from: new Nursery(parts, () => process.exit(1)), made };
}

const messageOf = (opening: Promise<unknown>): Promise<string> =>
  opening.then(
    () => 'opened',
    (error: Error) => error.message,
  );

const { from, made } = nursery();
from.prepare(16);
const first = from.take(16, false);
const { context } = await first.open();
const ran: unknown = await context.eval('ran');
const second = from.take(16, false);

const others = [[32, false] as const, [16, true] as const].map(([memoryMb, inspector]) => {
  const other = nursery();
  other.from.prepare(16);
  const fresh = other.from.take(memoryMb, inspector);
  return { memoryMb: fresh.memoryMb, disposed: other.made.map(({ isDisposed }) => isDisposed) };
});

const broken = nursery('throw new Error("no guest")');
broken.from.prepare(16);
const messages = [await messageOf(broken.from.take(16, false).open())];
broken.from.prepare(16);
await pause(200);
const again = broken.from.take(16, false);
messages.push(await messageOf(again.open()));

const small = nursery();
small.from.prepare(1);

const seen: Seen = {
  first: { isAhead: first.isolate === made[0], ran },
  second: { isAhead: second.isolate === made[0], made: made.length },
  others,
  broken: messages,
  brokenIsAhead: again.isolate === broken.made[1],
  leastMb: small.from.take(2, false).memoryMb,
};
writeSync(1, `${JSON.stringify(seen)}\n`);
process.kill(process.pid, 'SIGKILL');
