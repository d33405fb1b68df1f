import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const BIN = fileURLToPath(new URL('../src/cli/bin.js', import.meta.url));

/** A test's context, or `{ after }` of a whole suite. */
export interface Teardown {
  after(end: () => void | Promise<void>): void;
}

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Buffer;
  /** What has come on standard output so far, each time there is more. */
  readonly onOutput?: (text: string) => void;
}

/** The environment of a person without settings of isolambda's. */
export function cleanEnv(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  const kept = Object.entries(process.env).filter(([key]) => !/^ISOLAMBDA_|^NODE_|_COLOR$/.test(key));
  return { ...(Object.fromEntries(kept) as Record<string, string>), ...more };
}

/** A command that hangs is killed, so that its test fails and says with which output. */
const LONGEST_MS = 60_000;

/** Runs the command as a person does, as a process of its own, to its end. */
export function runCli(
  args: readonly string[],
  { cwd, env, input, onOutput }: CliOptions = {},
): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [BIN, ...args], { cwd, env: cleanEnv(env), timeout: LONGEST_MS });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => {
      stdout.push(chunk);
      onOutput?.(Buffer.concat(stdout).toString());
    });
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.once('error', reject);
    child.once('close', (code) =>
      resolve({ code, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() }),
    );
    child.stdin.on('error', () => {}); // A command that reads no input may end before we wrote it.
    child.stdin.end(input);
  });
}

/** A folder with these files, which is gone after the test. */
export function tempFolder(t: Teardown, files: Readonly<Record<string, string>> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'isolambda-cli-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

export interface ServedHost {
  readonly origin: string;
  readonly dataDir: string;
  readonly pid: number;
  /** Sends a signal, and resolves with the exit code. */
  stop(signal: NodeJS.Signals): Promise<number | null>;
  /** What the host wrote to standard error so far. */
  log(): string;
}

/** `isolambda serve --port 0` as a process of its own, stopped after the test. */
export async function serveHost(
  t: Teardown,
  {
    args = [],
    dataDir = tempFolder(t),
  }: { readonly args?: readonly string[]; readonly dataDir?: string } = {},
): Promise<ServedHost> {
  const all = [BIN, 'serve', '--port', '0', '--data-dir', dataDir, '--json', '--log-level', 'warn', ...args];
  const child = spawn(process.execPath, all, {
    cwd: dataDir,
    env: cleanEnv(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const told = await new Promise<{ origin: string; pid: number }>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      stdout += chunk;
      // One document, whole at its closing brace in the first column.
      if (/^\}$/m.test(stdout)) resolve(JSON.parse(stdout) as { origin: string; pid: number });
    });
    child.once('error', reject);
    child.once('close', (code) =>
      reject(new Error(`serve ended with ${code} before it was ready:\n${stderr}`)),
    );
  });
  return {
    ...told,
    dataDir,
    stop: (signal) => {
      child.kill(signal);
      return ended;
    },
    log: () => stderr,
  };
}
