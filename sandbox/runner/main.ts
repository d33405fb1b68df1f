/**
 * The runner's entry: `node --no-node-snapshot --permission --allow-addons --allow-fs-read=<image> runner.cjs`, with
 * a socketpair to the host as fd 3. Holds the isolates of one account and nothing else.
 */
import { FrameType, PROTOCOL_VERSION, type Frame } from '../../src/protocol/frame.ts';
import type { Hello, Ready } from '../../src/protocol/messages.ts';
import { loadAddon } from './addon.ts';
import { openConnection } from './connection.ts';
import { Deadlines } from './deadlines.ts';
import type { Flight } from './flights.ts';
import { readGuestCode } from './guest-code.ts';
import { Isolates } from './isolates.ts';
import { Nursery } from './nursery.ts';
import { Suspects } from './suspects.ts';
import { Watchdog } from './watchdog.ts';

const HOST_FD = 3;
const EXIT_PROTOCOL = 64;
const EXIT_LOST = 70;
/** How long the last frames may take to leave before the process goes without them. */
const FLUSH_MS = 200;

const ivm = loadAddon(__dirname);
const nursery = new Nursery({ ivm, guest: readGuestCode(ivm, __dirname) }, die);
const now = (): number => performance.now();
const isolates = new Isolates();
let greeted = false;
let dying = false;

const connection = openConnection(HOST_FD, receive, () => process.exit(0));
isolates.use({
  ivm,
  nursery,
  connection,
  watchdog: new Watchdog(),
  deadlines: new Deadlines<Flight>({
    now,
    inFlight: () => isolates.flights(),
    expire: (flight) => flight.isolate.expire(flight),
  }),
  suspects: new Suspects(now),
  now,
  isAlone: () => isolates.size === 1,
  forget: (isolate) => isolates.forget(isolate),
  logWaiting: (isolate) => isolates.logWaiting(isolate),
  die,
});

function receive(frames: Iterable<Frame>): void {
  if (dying) return;
  isolates.take(greeted ? frames : greet(frames));
}

/** The first frame is the host's hello; the versions must match, and the rest of the stream is for the isolates. */
function* greet(frames: Iterable<Frame>): Iterable<Frame> {
  for (const frame of frames) {
    if (greeted) {
      yield frame;
      continue;
    }
    const hello = frame.type === FrameType.hello ? (JSON.parse(frame.head) as Hello) : undefined;
    if (hello?.protocol !== PROTOCOL_VERSION) {
      process.stderr.write(`the host's first frame is no hello of protocol ${PROTOCOL_VERSION}\n`);
      process.exit(EXIT_PROTOCOL);
    }
    greeted = true;
    const ready: Ready = { protocol: PROTOCOL_VERSION, node: process.version, v8: process.versions.v8 };
    connection.send(FrameType.ready, 0, 0, 0, JSON.stringify(ready));
    setImmediate(() => nursery.prepare(hello.aheadMb));
  }
}

function die(reason: string): void {
  if (dying) return;
  dying = true;
  process.stderr.write(`${reason}\n`);
  // SIGKILL, because a clean exit runs destructors under the threads of isolates that still compute: it crashed. As the
  // first process of a namespace it would be immune to its own signal, so a clean exit stands behind it.
  const go = (): void => {
    try {
      process.kill(process.pid, 'SIGKILL');
    } finally {
      process.exit(EXIT_LOST);
    }
  };
  setTimeout(go, FLUSH_MS);
  connection.flush(go);
}
