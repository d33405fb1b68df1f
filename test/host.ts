/** A real host, started as a user starts it, for end-to-end tests and benchmarks. */
import AdmZip from 'adm-zip';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, watch, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LambdaApi, type LambdaReply } from '../src/client/index.ts';
import type { Quota } from '../src/schemas/limits.ts';

export const BIN = fileURLToPath(new URL('../src/cli/bin.js', import.meta.url));
const TIED_TO_US = ['--import', new URL('./end-with-parent.ts', import.meta.url).href];

export interface HostOptions {
  /** Command line flags without their dashes. */
  readonly flags?: Readonly<Record<string, string>> | undefined;
  /** The text of isolambda.yml. */
  readonly config?: string | undefined;
  /** Goes on with the data of an earlier host; it is then not removed. */
  readonly dataDir?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
}

export interface TestAccount {
  readonly accountId: string;
  readonly token: string;
  readonly api: LambdaApi;
}

export interface TestHost {
  readonly origin: string;
  readonly dataDir: string;
  readonly process: ChildProcess;
  /** With the operator's token. */
  readonly operator: LambdaApi;
  /** What the host wrote to standard error so far. */
  readonly errorText: () => string;
  /** Resolves once standard error has a text that matches, what came before included. */
  says(wanted: RegExp): Promise<void>;
  account(quota?: Quota): Promise<TestAccount>;
  /** SIGTERM, and the exit code that came of it. */
  stop(): Promise<number | null>;
  kill(): Promise<void>;
}

export async function startTestHost({
  flags = {},
  config,
  dataDir: given,
  env = {},
}: HostOptions = {}): Promise<TestHost> {
  const dataDir = given ?? (await mkdtemp(join(tmpdir(), 'isolambda-test-')));
  const configFlags: Record<string, string> = {};
  if (config !== undefined) {
    configFlags.config = join(dataDir, 'isolambda.yml');
    await writeFile(configFlags.config, config);
  }
  const args = Object.entries({ port: '0', 'log-level': 'warn', ...configFlags, ...flags }).flatMap(
    ([name, value]) => [`--${name}`, value],
  );
  await rm(join(dataDir, 'host.json'), { force: true });
  const watching = new AbortController();
  const appears = fileAppears(dataDir, 'host.json', watching.signal);
  const host = spawn(process.execPath, [...TIED_TO_US, BIN, 'serve', '--data-dir', dataDir, ...args], {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: { ...process.env, ...env },
  });
  let errorText = '';
  host.stderr.on('data', (chunk: Buffer) => (errorText = (errorText + chunk.toString()).slice(-100_000)));
  const says = async (wanted: RegExp): Promise<void> => {
    while (!wanted.test(errorText)) await once(host.stderr, 'data');
  };
  const exited = once(host, 'exit');
  try {
    await Promise.race([
      appears,
      exited.then(() => Promise.reject(new Error(`the host ended before it was ready:\n${errorText}`))),
    ]);
  } finally {
    watching.abort();
  }
  const { origin } = JSON.parse(await readFile(join(dataDir, 'host.json'), 'utf8')) as { origin: string };
  const operator = new LambdaApi({
    origin,
    api: 1,
    token: (await readFile(join(dataDir, 'operator.token'), 'utf8')).trim(),
  });
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (host.exitCode === null && host.signalCode === null) {
      host.kill(signal);
      await exited;
    }
    if (given === undefined && signal === 'SIGTERM') await rm(dataDir, { recursive: true, force: true });
    return host.exitCode;
  };
  return {
    origin,
    dataDir,
    process: host,
    operator,
    errorText: () => errorText,
    says,
    async account(quota) {
      const { account_id: accountId } = (await operator.createAccount({ name: 'tenant' })).json;
      if (quota) await operator.putQuota(accountId, quota);
      const { token } = (
        await operator.createToken(accountId, { scopes: ['admin', 'deploy', 'invoke', 'read'] })
      ).json;
      return { accountId, token, api: new LambdaApi({ origin, api: 1, token }) };
    },
    stop: () => end('SIGTERM'),
    kill: async () => void (await end('SIGKILL')),
  };
}

/** Memory of the host's own process that lies in RAM. */
export function residentBytes({ process: { pid } }: Pick<TestHost, 'process'>): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1_024;
}

/** The file may come at any moment, the folder may even be watched too late: both are looked at. */
async function fileAppears(dir: string, name: string, signal: AbortSignal): Promise<void> {
  await mkdir(dir, { recursive: true });
  try {
    for await (const { filename } of watch(dir, { signal })) if (filename === name) return;
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

export function archiveOf(files: Readonly<Record<string, string | Uint8Array>>): Buffer {
  const zip = new AdmZip();
  for (const [path, content] of Object.entries(files))
    zip.addFile(path, typeof content === 'string' ? Buffer.from(content) : Buffer.from(content));
  return zip.toBuffer();
}

/** Uploads and waits until it runs; the id. */
export async function deploy(
  api: LambdaApi,
  files: Readonly<Record<string, string | Uint8Array>> | string,
  parameters: object = {},
  deployParameters: object = {},
): Promise<string> {
  const archive = archiveOf(typeof files === 'string' ? { 'lambda_main.ts': files } : files);
  const { lambda_id: lambdaId } = (
    await api.createLambda({
      archive,
      parameters: { lambda_type: 'standalone', ...parameters },
      deployParameters,
    })
  ).json;
  await api.waitUntilRunning(lambdaId);
  return lambdaId;
}

/** `POST main` of a lambda. */
export function callMain(api: LambdaApi, lambdaId: string, body?: unknown): Promise<LambdaReply> {
  return api.proxyLambdaPost({ lambdaId, path: 'main', body: body });
}

export const ECHO =
  'import type { StandaloneLambdaRequest } from "lambda-tools";\nexport async function main(request: StandaloneLambdaRequest) {\n  return request.json;\n}\n';
