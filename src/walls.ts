/**
 * Which walls stand on this machine, found by trying: a runner is started as the host would start it, and looked at
 * from outside. `isolambda doctor` prints what comes of it.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, readlink, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Config } from './config/config.ts';
import { chooseJail } from './pool/choose-jail.ts';
import { buildRunnerImage } from './pool/image.ts';
import { RUNNER_V8_FLAGS, type Jail } from './pool/jail.ts';

export interface Wall {
  readonly name: string;
  /** `advice`: no wall is missing, but there is a better way. */
  readonly state: 'stands' | 'missing' | 'advice';
  /** What was found. */
  readonly found: string;
  /** How to raise it, where it does not stand. */
  readonly raise?: string;
}

const NODE_MAJOR = 24;
/** Releases before it let a guest confuse the host's types (GHSA-864f-rcv7-6rh4). */
const IVM_LEAST = '7.0.1';
const LOOK_MS = 5_000;
const MEND_NAMESPACES =
  'Allow unprivileged user namespaces: sysctl -w kernel.unprivileged_userns_clone=1, on Ubuntu also kernel.apparmor_restrict_unprivileged_userns=0; in a container, run it with --security-opt seccomp=unconfined or its own profile for bwrap.';

/** All walls, the outer ones last. Takes about a second: it builds a runner's image and starts one. */
export async function inspectWalls(config: Config): Promise<Wall[]> {
  const programs = [
    await program('bubblewrap', 'bwrap', 'apt-get install bubblewrap'),
    await program('prlimit', 'prlimit', 'apt-get install util-linux'),
  ];
  return [
    nodeWall(),
    await isolatedVmWall(),
    ...programs,
    ...(await runnerWalls(config)),
    hostUser(),
    ...(await dataFolder(config.dataDir)),
    refusal(config),
  ];
}

const wall = (name: string, stands: boolean, found: string, raise: string): Wall =>
  stands ? { name, state: 'stands', found } : { name, state: 'missing', found, raise };

function nodeWall(): Wall {
  const major = Number(process.versions.node.split('.')[0]);
  return wall(
    'node',
    major >= NODE_MAJOR,
    `Node ${process.versions.node}, V8 ${process.versions.v8}`,
    `Run it with Node ${NODE_MAJOR} or later: npx isolambda takes the one that npm installed beside it.`,
  );
}

async function isolatedVmWall(): Promise<Wall> {
  let version = 'none';
  try {
    const path = createRequire(import.meta.url).resolve('isolated-vm/package.json');
    version = (JSON.parse(await readFile(path, 'utf8')) as { version: string }).version;
  } catch {
    // Said by what was found.
  }
  const atLeast = version !== 'none' && version.localeCompare(IVM_LEAST, 'en', { numeric: true }) >= 0;
  return wall('isolated-vm', atLeast, `isolated-vm ${version}`, `npm install isolated-vm@${IVM_LEAST}`);
}

async function program(name: string, command: string, install: string): Promise<Wall> {
  try {
    const { stdout } = await promisify(execFile)(command, ['--version']);
    return wall(name, true, stdout.trim(), install);
  } catch {
    return wall(name, false, `${command} can not be started`, `${install}, or your system's like of it.`);
  }
}

/** Starts a runner behind the jail that a host with this configuration would take. */
async function runnerWalls(config: Config): Promise<Wall[]> {
  const dir = await mkdtemp(join(tmpdir(), 'isolambda-doctor-'));
  try {
    const image = await buildRunnerImage(dir, RUNNER_V8_FLAGS);
    const mode = config.jail === 'none' ? 'none' : 'auto';
    const jail = await chooseJail({ image }, { mode, production: false });
    const jailWall = wall(
      'jail',
      jail.kind !== 'none',
      jail.reason,
      config.jail === 'none' ? 'Set sandbox.jail to auto or bubblewrap.' : MEND_NAMESPACES,
    );
    return [jailWall, ...(await lookAtRunner(jail))];
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function lookAtRunner(jail: Jail): Promise<Wall[]> {
  const { child, pid: asked } = jail.spawn();
  const ended = new Promise((resolve) => child.once('exit', resolve));
  try {
    const pid = await asked;
    const status = await settled(pid, jail.kind !== 'none');
    const field = (name: string): string => new RegExp(`^${name}:\\s+(\\S+)`, 'm').exec(status)?.[1] ?? '?';
    const limits = await readFile(`/proc/${pid}/limits`, 'utf8').catch(() => '');
    const files = /^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? 'unlimited';
    const written = /^Max file size\s+(\S+)/m.exec(limits)?.[1] ?? '?';
    const arguments_ = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
    const shared = await sharedNamespaces(pid);
    const bounded = written === '0' && Number(files) <= 1_024;
    return [
      wall(
        'namespaces',
        shared.length === 0,
        shared.length === 0
          ? 'a runner shares no namespace with the host'
          : `shares with the host: ${shared.join(', ')}`,
        MEND_NAMESPACES,
      ),
      wall(
        'seccomp',
        field('Seccomp') === '2',
        field('Seccomp') === '2' ? 'the filter is loaded' : 'no filter',
        'It comes with the jail, on x64 and arm64.',
      ),
      wall(
        'no-new-privileges',
        field('NoNewPrivs') === '1',
        `NoNewPrivs ${field('NoNewPrivs')}, effective capabilities ${field('CapEff')}`,
        'It comes with the jail.',
      ),
      wall(
        'rlimits',
        bounded,
        `a runner may open ${files} files and write ${written} bytes to one`,
        'They come with the jail: prlimit sets them.',
      ),
      wall(
        'permission-model',
        arguments_.includes('--permission'),
        arguments_.filter((argument) => /^--(permission|allow)/.test(argument)).join(' ') || 'off',
        'It is always on in runners: this is a fault of the installation.',
      ),
    ];
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
}

/** The status of the runner itself: bubblewrap says the pid before it has loaded the filter and started Node. */
async function settled(pid: number, jailed: boolean): Promise<string> {
  const endMs = Date.now() + LOOK_MS;
  for (;;) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (command.includes('--permission') && !command.startsWith('bwrap') && !command.startsWith('prlimit')) {
      if (!jailed || /^Seccomp:\s+2/m.test(status)) return status;
    }
    if (Date.now() > endMs) return status;
    await pause(10);
  }
}

async function sharedNamespaces(pid: number): Promise<string[]> {
  const shared: string[] = [];
  for (const kind of ['user', 'pid', 'net', 'mnt', 'ipc', 'uts']) {
    const [own, other] = await Promise.all([
      readlink(`/proc/self/ns/${kind}`).catch(() => 'own'),
      readlink(`/proc/${pid}/ns/${kind}`).catch(() => 'hidden'),
    ]);
    if (own === other) shared.push(kind);
  }
  return shared;
}

function hostUser(): Wall {
  const uid = process.getuid?.();
  return uid === 0
    ? {
        name: 'host-user',
        state: 'advice',
        found: 'this is root; runners become nobody all the same',
        raise: 'Run the host as a user of its own that owns nothing but its data folder.',
      }
    : { name: 'host-user', state: 'stands', found: `uid ${uid}` };
}

async function dataFolder(dataDir: string): Promise<Wall[]> {
  const dir = resolve(dataDir);
  const modeOf = async (path: string): Promise<number | undefined> =>
    (await stat(path).catch(() => undefined))?.mode;
  const folder = await modeOf(dir);
  if (folder === undefined)
    return [
      { name: 'data-folder', state: 'stands', found: `${dir} is not there yet: it is made with mode 700` },
    ];
  const token = await modeOf(join(dir, 'operator.token'));
  const text = (mode: number): string => (mode & 0o777).toString(8);
  return [
    wall('data-folder', (folder & 0o077) === 0, `${dir} has mode ${text(folder)}`, `chmod 700 ${dir}`),
    ...(token === undefined
      ? []
      : [
          wall(
            'operator-token',
            (token & 0o077) === 0,
            `operator.token has mode ${text(token)}`,
            `chmod 600 ${join(dir, 'operator.token')}`,
          ),
        ]),
  ];
}

function refusal({ jail }: Config): Wall {
  const refuses = jail === 'bubblewrap' || (jail === 'auto' && process.env.NODE_ENV === 'production');
  return refuses
    ? { name: 'refusal', state: 'stands', found: 'the host does not start without its jail' }
    : {
        name: 'refusal',
        state: 'advice',
        found: `the host would start without a jail (sandbox.jail is ${jail}, NODE_ENV is ${process.env.NODE_ENV ?? 'not set'})`,
        raise: 'Set sandbox.jail: bubblewrap, or NODE_ENV=production.',
      };
}
