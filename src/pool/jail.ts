/**
 * The wall around a runner process: its command line, with bubblewrap or without.
 * docs/decisions/runner-jail.md says what each part is for.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { chmod, readdir, writeFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { basename, delimiter, join } from 'node:path';
import { sharedLibraries } from './libraries.ts';
import type { RunnerImage } from './image.ts';
import { seccompArch, seccompFilter } from './seccomp.ts';

export type JailKind = 'bubblewrap' | 'none';

/**
 * Flags of runners; the image's code cache must be made under the same. None bounds the heap: such a flag overrides the limit of every
 * isolate. One thread collects garbage beside those that compute: with Node's four, a lambda that only allocates took all
 * processors at once, and its neighbours' 99th percentile was 2.8 times the quiet one, against 1.2.
 */
export const RUNNER_V8_FLAGS: readonly string[] = ['--no-node-snapshot', '--v8-pool-size=1'];

/** Descriptors of a runner: Node holds about 20, isolates none. */
const MAX_DESCRIPTORS = 256;
/** A Ctrl-C in the host's terminal goes to its whole process group: runners must outlive it, to finish what is in flight. */
const OWN_GROUP = true;
const NOBODY = 65534;
const JAIL_NODE = '/bin/node';
const JAIL_IMAGE = '/runner';
const SECCOMP_FILE = 'seccomp.bpf';

/** Descriptors of the child, by number: the socketpair of the protocol, and two that bubblewrap itself uses and closes. */
export const CHANNEL_FD = 3;
const INFO_FD = 4;
const SECCOMP_FD = 5;

/** A jailed process that was started, before it said anything. */
export interface Spawned {
  /** With bubblewrap: its monitor, which dies with the host, and the runner with it. */
  readonly child: ChildProcess;
  /** The runner's own pid in the host's numbering; rejects where it ended before. */
  readonly pid: Promise<number>;
}

export interface Jail {
  readonly kind: JailKind;
  /** For people: which wall, and why not a better one. */
  readonly reason: string;
  /** Starts the image's entry. Descriptors 1 and 2 are pipes, 3 is the socketpair. */
  spawn(): Spawned;
}

export interface JailParts {
  readonly image: RunnerImage;
}

/** Node, as a runner gets it: no file but the image's, no children, no workers, no debugger. */
function nodeArguments(imageDir: string, script: readonly string[]): string[] {
  return [
    ...RUNNER_V8_FLAGS,
    '--permission',
    '--allow-addons',
    `--allow-fs-read=${imageDir}`,
    '--disable-sigusr1',
    '--no-warnings',
    ...script,
  ];
}

/** No process wall: Node's own permission model, no environment, and the descriptor. */
export function plainJail({ image }: JailParts, reason: string): Jail {
  return {
    kind: 'none',
    reason,
    spawn() {
      const child = spawn(process.execPath, nodeArguments(image.dir, [image.entry]), {
        cwd: image.dir,
        env: {},
        detached: OWN_GROUP,
        stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      });
      return { child, pid: pidOf(child) };
    },
  };
}

function pidOf(child: ChildProcess): Promise<number> {
  if (child.pid !== undefined) return Promise.resolve(child.pid);
  return new Promise((_, reject) => child.once('error', reject));
}

/** Who the jailed process is outside of its user namespace. */
export type OuterUser = 'nobody' | 'same';

export interface BubblewrapJail extends Jail {
  /** Boots Node in the jail and looks around; resolves with why it does not hold, or undefined where it does. */
  probe(): Promise<string | undefined>;
}

/**
 * bubblewrap around Node. Rejects where the machine lacks what it takes.
 *
 * `nobody`: a host that runs as root starts bubblewrap as nobody, so that an escape from the namespaces is nobody too; a host that
 * does not run as root has no choice but `same`.
 */
export async function bubblewrapJail({ image }: JailParts, user: OuterUser): Promise<BubblewrapJail> {
  if (process.platform !== 'linux') throw new Error(`bubblewrap needs Linux; this is ${process.platform}`);
  const arch = seccompArch();
  if (!arch) throw new Error(`there is no system call filter for ${process.arch}`);
  const addons = (await readdir(image.dir)).filter((name) => name.endsWith('.node'));
  const libraries = await sharedLibraries([process.execPath, ...addons.map((name) => join(image.dir, name))]);
  const filterPath = join(image.dir, SECCOMP_FILE);
  await writeFile(filterPath, seccompFilter(arch));
  await openToAll(image.dir);

  const limits = ['--core=0', '--fsize=0', '--memlock=0', '--msgqueue=0', `--nofile=${MAX_DESCRIPTORS}`];
  const wall = [
    ...['--unshare-user', '--unshare-all', '--die-with-parent', '--new-session', '--as-pid-1'],
    ...['--clearenv', '--cap-drop', 'ALL', '--hostname', 'runner'],
    ...['--uid', String(NOBODY), '--gid', String(NOBODY)],
    ...['--ro-bind', process.execPath, JAIL_NODE],
    ...libraries.flatMap((path) => ['--ro-bind', path, path]),
    ...['--ro-bind', image.dir, JAIL_IMAGE],
    ...['--dev-bind', '/dev/null', '/dev/null'],
    // The root is a tmpfs: read-only last, when all mount points stand.
    ...['--remount-ro', '/', '--chdir', '/'],
    ...['--info-fd', String(INFO_FD), '--seccomp', String(SECCOMP_FD)],
  ];
  const identity = user === 'nobody' ? { uid: NOBODY, gid: NOBODY } : {};

  function start(script: readonly string[]): Spawned {
    // Each start reads the filter from an open file of its own: the read position belongs to the file, not to the reader.
    const filter = openSync(filterPath, 'r');
    try {
      const child = spawn(
        'prlimit',
        [...limits, '--', 'bwrap', ...wall, '--', JAIL_NODE, ...nodeArguments(JAIL_IMAGE, script)],
        {
          cwd: '/',
          // Only for finding the two programs; `--clearenv` keeps it from the runner.
          env: { PATH: process.env.PATH ?? ['/usr/bin', '/bin'].join(delimiter) },
          detached: OWN_GROUP,
          stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe', filter],
          ...identity,
        },
      );
      return { child, pid: readInfo(child) };
    } finally {
      closeSync(filter);
    }
  }

  return {
    kind: 'bubblewrap',
    reason:
      user === 'same' && process.getuid?.() === 0
        ? 'bubblewrap works, but only as root: outside of its namespaces a runner would be root without capabilities'
        : 'bubblewrap works',
    spawn: () => start([`${JAIL_IMAGE}/${basename(image.entry)}`]),
    probe: () => probe(start(['-e', PROBE])),
  };
}

/** bubblewrap may run as another user than the host: the image holds nothing secret, so all may read it. */
async function openToAll(dir: string): Promise<void> {
  await chmod(dir, 0o755);
  for (const name of await readdir(dir)) await chmod(join(dir, name), 0o644);
}

const MAX_INFO_BYTES = 4096;

/** bubblewrap writes `{"child-pid": N, ...}` before it starts the program; the pid is the host's number of the runner. */
function readInfo(child: ChildProcess): Promise<number> {
  const stream = child.stdio[INFO_FD];
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) =>
      reject(new Error(`bubblewrap ended with ${signal ?? `code ${code}`} before it started the runner`)),
    );
    if (!(stream instanceof Readable)) return;
    let text = '';
    stream.on('error', reject);
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      const pid = /"child-pid"\s*:\s*(\d+)/.exec(text)?.[1];
      if (pid !== undefined && /"child-pid"\s*:\s*\d+\s*[,}]/.test(text)) resolve(Number(pid));
      if (pid !== undefined || text.length > MAX_INFO_BYTES) stream.resume();
      if (text.length > MAX_INFO_BYTES) reject(new Error('bubblewrap says too much of itself'));
    });
  });
}

const PROBE_TIMEOUT_MS = 10_000;
const MAX_PROBE_TEXT = 2000;
/** Runs in the jail. Says what it sees, so that a wall which let something through is not taken for one. */
const PROBE = `
const fs = process.getBuiltinModule('fs');
let root = true;
try { root = fs.existsSync('/etc') || fs.existsSync('/proc/1'); } catch { root = false; }
process.stdout.write(JSON.stringify({ pid: process.pid, uid: process.getuid(), root, env: Object.keys(process.env).filter((k) => k !== 'PWD').length }));
`;
const PROBE_ANSWER = JSON.stringify({ pid: 1, uid: NOBODY, root: false, env: 0 });

function probe({ child, pid }: Spawned): Promise<string | undefined> {
  return new Promise((resolve) => {
    let said = '';
    let complaint = '';
    pid.catch(() => undefined);
    const timer = setTimeout(() => child.kill('SIGKILL'), PROBE_TIMEOUT_MS);
    child.stdout?.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(0, MAX_PROBE_TEXT)));
    child.stderr?.on(
      'data',
      (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(0, MAX_PROBE_TEXT)),
    );
    const end = (why: string | undefined): void => {
      clearTimeout(timer);
      for (const stream of child.stdio) if (stream && 'destroy' in stream) stream.destroy();
      resolve(why);
    };
    child.once('error', (error: NodeJS.ErrnoException) =>
      end(
        error.code === 'ENOENT'
          ? 'prlimit (of util-linux) is not installed, or can not be started'
          : error.message,
      ),
    );
    child.once('close', (code, signal) => {
      if (code === 0 && said === PROBE_ANSWER) end(undefined);
      else if (code === 0) end(`the jailed process sees ${said || 'nothing'}`);
      else end(firstLine(complaint) || `ended with ${signal ?? `code ${code}`}`);
    });
  });
}

function firstLine(text: string): string {
  const line =
    text
      .split('\n')
      .map((each) => each.trim())
      .find((each) => each !== '') ?? '';
  return /prlimit: .*bwrap.*No such file/.test(line) ? 'bubblewrap (bwrap) is not installed' : line;
}
