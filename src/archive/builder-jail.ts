/**
 * The wall around a builder child. The child parses hostile input and runs esbuild on it, but none of the tenant's code.
 * With bubblewrap it has no network, no environment, and no file but Node, esbuild, their libraries and one script.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { chmod } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { promisify } from 'node:util';
import type { BuilderImage } from './builder-image.ts';

export interface BuilderJail {
  readonly kind: 'bubblewrap' | 'none';
  /** For people: why not a better wall. */
  readonly reason: string;
  /** Starts a child in a process group of its own. Descriptors 1 and 2 are pipes, 3 is the socketpair. */
  spawn(): ChildProcess;
}

export interface JailOptions {
  readonly image: BuilderImage;
  readonly mode: 'auto' | 'bubblewrap' | 'none';
  readonly memoryMb: number;
}

/** The socketpair between host and child, in the child. */
export const CHANNEL_FD = 3;
const NOBODY = 65534;
const MiB = 1024 * 1024;
/** V8's heap and Go's may each take this share; the watch bounds the sum. */
const HEAP_SHARE = 0.6;
const heapMb = (memoryMb: number): number => Math.max(32, Math.floor(memoryMb * HEAP_SHARE));

function nodeArguments(dir: string, entry: string, esbuild: string, memoryMb: number): string[] {
  return [
    '--permission',
    `--allow-fs-read=${dir}`,
    `--allow-fs-read=${esbuild}`,
    // For esbuild alone. In the jail there is no other program but Node itself.
    '--allow-child-process',
    `--max-old-space-size=${heapMb(memoryMb)}`,
    '--disable-sigusr1',
    '--no-warnings',
    entry,
  ];
}

const environment = (esbuild: string, memoryMb: number): Record<string, string> => ({
  ESBUILD_BINARY_PATH: esbuild,
  GOMEMLIMIT: `${heapMb(memoryMb)}MiB`,
});

/** `auto` takes bubblewrap where a child boots in it; rejects where `bubblewrap` was asked for and does not work. */
export async function chooseBuilderJail(options: JailOptions): Promise<BuilderJail> {
  if (options.mode === 'none') return plain(options, 'sandbox.jail is none');
  try {
    return await bubblewrap(options);
  } catch (thrown) {
    const reason = `bubblewrap does not work here: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
    if (options.mode === 'bubblewrap') throw new Error(reason, { cause: thrown });
    return plain(options, reason);
  }
}

function plain({ image, memoryMb }: JailOptions, reason: string): BuilderJail {
  return {
    kind: 'none',
    reason,
    spawn: () =>
      spawn(process.execPath, nodeArguments(image.dir, image.entry, image.esbuild, memoryMb), {
        cwd: image.dir,
        env: environment(image.esbuild, memoryMb),
        stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
        detached: true,
      }),
  };
}

const JAIL_NODE = '/bin/node';
const JAIL_ESBUILD = '/bin/esbuild';
const JAIL_DIR = '/builder';

async function bubblewrap(options: JailOptions): Promise<BuilderJail> {
  if (process.platform !== 'linux') throw new Error(`it needs Linux; this is ${process.platform}`);
  const { image, memoryMb } = options;
  const libraries = [
    ...new Set([...(await librariesOf(process.execPath)), ...(await librariesOf(image.esbuild))]),
  ];
  // bubblewrap may run as another user than the host; the image is the product's own code, which all may read.
  await chmod(image.dir, 0o755);
  await chmod(image.entry, 0o644);
  const wall = [
    ...['--unshare-user', '--unshare-all', '--die-with-parent', '--new-session'],
    ...['--clearenv', '--cap-drop', 'ALL', '--hostname', 'builder'],
    ...['--uid', String(NOBODY), '--gid', String(NOBODY)],
    ...Object.entries(environment(JAIL_ESBUILD, memoryMb)).flatMap(([name, value]) => [
      '--setenv',
      name,
      value,
    ]),
    ...['--ro-bind', process.execPath, JAIL_NODE],
    ...['--ro-bind', image.esbuild, JAIL_ESBUILD],
    ...libraries.flatMap((path) => ['--ro-bind', path, path]),
    ...['--ro-bind', dirname(image.entry), JAIL_DIR],
    ...['--dev-bind', '/dev/null', '/dev/null'],
    // The root is a tmpfs: read-only last, when all mount points stand.
    ...['--remount-ro', '/', '--chdir', '/'],
  ];
  // The kernel's own bounds behind the watch, which looks some forty times a second.
  const limits = ['--core=0', '--fsize=0', '--nofile=256', `--data=${Math.max(4096, 4 * memoryMb) * MiB}`];
  const start = (program: readonly string[], identity: object): ChildProcess =>
    spawn('prlimit', [...limits, '--', 'bwrap', ...wall, '--', ...program], {
      cwd: '/',
      // Only for finding the two programs.
      env: { PATH: process.env.PATH ?? '/usr/bin:/bin' },
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      detached: true,
      ...identity,
    });
  // Where the host is root, an escape from the namespaces should be nobody all the same.
  const identities = process.getuid?.() === 0 ? [{ uid: NOBODY, gid: NOBODY }, {}] : [{}];
  let failure: unknown;
  for (const identity of identities) {
    try {
      await probe(start([JAIL_NODE, '--version'], identity));
      await probe(start([JAIL_ESBUILD, '--version'], identity));
    } catch (thrown) {
      failure = thrown;
      continue;
    }
    const program = [
      JAIL_NODE,
      ...nodeArguments(JAIL_DIR, `${JAIL_DIR}/${basename(image.entry)}`, JAIL_ESBUILD, memoryMb),
    ];
    return { kind: 'bubblewrap', reason: 'bubblewrap works', spawn: () => start(program, identity) };
  }
  throw failure;
}

const PROBE_TIMEOUT_MS = 10_000;

function probe(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let complaint = '';
    const timer = setTimeout(() => child.kill('SIGKILL'), PROBE_TIMEOUT_MS);
    child.stdout?.resume();
    child.stderr?.on('data', (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(0, 1_000)));
    child.once('error', (thrown) => {
      clearTimeout(timer);
      reject(thrown);
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      if (code === 0) resolve();
      else reject(new Error(complaint.trim().split('\n')[0] || `it ended with ${signal ?? `code ${code}`}`));
    });
  });
}

/** Shared libraries of a program, the dynamic loader among them, as `ldd` names them; none for a static one. */
async function librariesOf(program: string): Promise<string[]> {
  const env = { PATH: process.env.PATH ?? '', LC_ALL: 'C' };
  const text = await promisify(execFile)('ldd', [program], { env }).then(
    ({ stdout }) => stdout,
    (thrown: { stdout?: string; stderr?: string }) => {
      if (/not a dynamic executable/.test(`${thrown.stdout}${thrown.stderr}`)) return '';
      throw thrown;
    },
  );
  return [...text.matchAll(/(?:^\s*|=> )(\/\S+) \(0x[0-9a-f]+\)$/gm)].flatMap((match) => match[1] ?? []);
}
