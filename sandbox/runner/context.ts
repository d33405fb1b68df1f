import type { Ivm } from './addon.ts';
import type { Connection } from './connection.ts';
import type { Deadlines } from './deadlines.ts';
import type { Flight } from './flights.ts';
import type { GuestIsolate } from './isolate.ts';
import type { Nursery } from './nursery.ts';
import type { Suspects } from './suspects.ts';
import type { Watchdog } from './watchdog.ts';

/** What all isolates of a runner share. */
export interface RunnerContext {
  readonly ivm: Ivm;
  readonly nursery: Nursery;
  readonly connection: Connection;
  readonly watchdog: Watchdog;
  readonly deadlines: Deadlines<Flight>;
  readonly suspects: Suspects;
  /** Milliseconds, monotonic. */
  readonly now: () => number;
  /** The runner has one isolate. */
  isAlone(): boolean;
  /** The isolate is gone: nothing may reach it any more. */
  forget(isolate: GuestIsolate): void;
  /** The isolate has log lines to hand over at the end of this turn. */
  logWaiting(isolate: GuestIsolate): void;
  /** Ends the process within a moment: what was sent leaves first. */
  die(reason: string): void;
}
