/** `isolambda run` as a process of its own, as a user starts it. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { brokerUrl } from './broker.ts';
import { BIN, cleanEnv, tempFolder, type Teardown } from './cli-process.ts';
import { newQueueName } from './integration/amqp-serving.ts';

export interface RunOptions {
  /** After `run`. */
  readonly args?: readonly string[];
  /** Null: no `-q` is given. By default a name of its own. */
  readonly queue?: string | null;
  readonly url?: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** In place of `isolambda run`: a script for Node that takes the same options. */
  readonly script?: string;
}

export interface RunEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface RunProcess {
  readonly url: string;
  /** The one that it says it serves. */
  readonly queue: string;
  readonly cwd: string;
  readonly pid: number;
  /** What it wrote so far: its words, and its log. */
  out(): string;
  log(): string;
  readonly ended: Promise<RunEnd>;
  stop(signal?: NodeJS.Signals): Promise<RunEnd>;
}

/** Starts it, and waits until it serves; rejects with its output where it ends before. Killed with the test. */
export async function startRun(t: Teardown, options: RunOptions = {}): Promise<RunProcess> {
  const { args = [], queue = newQueueName(), cwd = tempFolder(t), env = {}, script } = options;
  const url = options.url ?? (await brokerUrl());
  const named = queue === null ? [] : ['-q', queue];
  const command = script === undefined ? [BIN, 'run'] : [script];
  const child = spawn(process.execPath, [...command, ...args, '-u', url, ...named], {
    cwd,
    env: cleanEnv(env),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let log = '';
  const ended = new Promise<RunEnd>((resolve) =>
    child.once('close', (code, signal) => resolve({ code, signal })),
  );
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (log += chunk));
  const served = await new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      out += chunk;
      const said = / on queue (\S+) /.exec(out)?.[1];
      if (said !== undefined) resolve(said);
    });
    child.once('error', reject);
    void ended.then(({ code }) =>
      reject(new Error(`run ended with ${code} before it served:\n${out}${log}`)),
    );
  });
  return {
    url,
    queue: served,
    cwd,
    pid: child.pid ?? 0,
    out: () => out,
    log: () => log,
    ended,
    stop: (signal = 'SIGTERM') => {
      child.kill(signal);
      return ended;
    },
  };
}

/** The teardown of a whole suite: what a `before` hook makes ends with the suite, not with the hook. */
export function suiteTeardown(after: (end: () => Promise<void>) => void): Teardown {
  const ends: (() => void | Promise<void>)[] = [];
  after(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });
  return { after: (end) => void ends.push(end) };
}

/** The processes below a process, from /proc. */
export function descendants(pid: number): number[] {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  } catch {
    return [];
  }
  return text
    .split(' ')
    .filter(Boolean)
    .map(Number)
    .flatMap((child) => [child, ...descendants(child)]);
}
