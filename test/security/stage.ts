/** What the attacks are run on: a host, villains that run one case at a time each, and helpers for their cases. */
import { readFileSync } from 'node:fs';
import { createServer, request as openRequest, type IncomingMessage, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { LambdaApiError, LambdaStateError } from '../../src/client/index.ts';
import {
  archiveOf,
  callMain,
  deploy,
  ECHO,
  startTestHost,
  type TestAccount,
  type TestHost,
} from '../host.ts';
import type { AttackCase, ClassName, Ending } from './cases.ts';

/** How a case ended, in the form of an `expect:` line and in parts. */
export interface Ended {
  readonly status: number;
  readonly code?: number;
  readonly json?: unknown;
  readonly detail?: string;
  readonly rules?: readonly string[];
  readonly upload: boolean;
}

/** What an action is handed: the host, a villain's account, a victim's account with a lambda of its own. */
export interface Scene {
  readonly host: TestHost;
  readonly origin: string;
  readonly villain: TestAccount;
  readonly victim: TestAccount;
  /** Of the victim; not shared. */
  readonly victimLambda: string;
  readonly brokerUrl: string;
  readonly deploy: typeof deploy;
  readonly archiveOf: typeof archiveOf;
  readonly callMain: typeof callMain;
}

/** A server on loopback that no lambda may reach. */
export interface Target {
  readonly port: number;
  readonly hits: () => number;
  close(): Promise<void>;
}

const VILLAINS = 3;
const BASE = { memory_mb: 32, cpu_ms: 2_000, timeout_ms: 6_000 };
const OF_CLASS: Partial<Record<ClassName, Record<string, unknown>>> = {
  heap: { cpu_ms: 10_000, timeout_ms: 20_000 },
  buffers: { cpu_ms: 10_000, timeout_ms: 20_000 },
  'cpu-sync': { cpu_ms: 150 },
  'cpu-async': { cpu_ms: 150 },
  'regex-bigint': { cpu_ms: 250 },
  pending: { cpu_ms: 300, timeout_ms: 500 },
  walks: { memory_mb: 64, cpu_ms: 5_000 },
};

/** A runner knows a lambda for brief after 64 calls; the first of them are cold. */
const BRIEF_CALLS = 150;
/** With less nothing is entered inline. */
const INLINE_CPU_MS = 1_000;

export interface Stage {
  readonly host: TestHost;
  readonly bystander: TestAccount;
  readonly bystanderLambda: string;
  readonly target: Target;
  run(attack: AttackCase, after?: 'brief calls'): Promise<Ended>;
  close(): Promise<void>;
}

export async function openStage({ brokerUrl }: { readonly brokerUrl: string }): Promise<Stage> {
  const target = await listenOnLoopback();
  const redirecting = await listenOnLoopback(`http://127.0.0.1:${target.port}/secret`);
  const host = await startTestHost({
    flags: { 'sandbox-spare-runners': '4', ...(brokerUrl === '' ? {} : { 'amqp-url': brokerUrl }) },
  });
  const egress = ['*', `*:${target.port}`, `127.0.0.1:${redirecting.port}`];
  const free = await Promise.all(
    Array.from({ length: VILLAINS }, () =>
      host.account({ memory_mb: 256, cpu_ms: 10_000, cpu_cores: 4, log_bytes_per_s: 262_144, egress }),
    ),
  );
  const waiting: ((villain: TestAccount) => void)[] = [];
  const victim = await host.account();
  const victimLambda = await deploy(victim.api, ECHO, { name: 'secret-of-the-victim' });
  const bystander = await host.account();
  const bystanderLambda = await deploy(bystander.api, ECHO);

  const scene = (villain: TestAccount): Scene => ({
    host,
    origin: host.origin,
    villain,
    victim,
    victimLambda,
    brokerUrl,
    deploy,
    archiveOf,
    callMain,
  });

  async function runLambda(
    attack: AttackCase,
    { api }: TestAccount,
    after: 'brief calls' | undefined,
  ): Promise<Ended> {
    const leastCpuMs = after === undefined ? 0 : INLINE_CPU_MS;
    const uploaded = await upload(attack, api, filesOf(attack), leastCpuMs);
    if (typeof uploaded !== 'string') return uploaded;
    try {
      for (let i = 0; after !== undefined && i < BRIEF_CALLS; i++)
        await callMain(api, uploaded, { well: true });
      const body = { port: target.port, redirecting: redirecting.port };
      const { method, path } = attack.call;
      const ended = await send({
        url: new URL(host.origin),
        path: `/1/lambdas/${uploaded}/proxy${path}`,
        method,
        token: tokenOf.get(api) ?? '',
        body: JSON.stringify(body),
      });
      if (!attack.breaksItself) await mustBeWell(api, uploaded);
      return ended;
    } finally {
      await api.deleteLambda({ lambdaId: uploaded });
    }
  }
  const tokenOf = new Map(free.map(({ api, token }) => [api, token]));

  async function perform(
    attack: AttackCase,
    villain: TestAccount,
    after: 'brief calls' | undefined,
  ): Promise<Ended> {
    switch (attack.kind) {
      case 'lambda':
        return await runLambda(attack, villain, after);
      case 'config': {
        const files = { 'lambda_main.ts': ECHO, 'lambda_config.yml': attack.source };
        const ended = await upload(attack, villain.api, archiveOf(files));
        if (typeof ended !== 'string') return ended;
        await villain.api.deleteLambda({ lambdaId: ended });
        return { status: 201, json: 'accepted', upload: false };
      }
      case 'archive': {
        const { archive } = (await import(attack.path)) as {
          archive: () => Buffer | Record<string, string>;
        };
        const made = archive();
        const ended = await upload(attack, villain.api, Buffer.isBuffer(made) ? made : archiveOf(made));
        if (typeof ended !== 'string') return ended;
        await villain.api.deleteLambda({ lambdaId: ended });
        return { status: 201, json: 'accepted', upload: false };
      }
      case 'action': {
        const { act } = (await import(attack.path)) as { act: (scene: Scene) => Promise<unknown> };
        return { status: 200, json: await act(scene(villain)), upload: false };
      }
    }
  }

  async function run(attack: AttackCase, after?: 'brief calls'): Promise<Ended> {
    const villain = free.pop() ?? (await new Promise<TestAccount>((resolve) => waiting.push(resolve)));
    try {
      return await perform(attack, villain, after);
    } finally {
      const next = waiting.shift();
      if (next) next(villain);
      else free.push(villain);
    }
  }

  return {
    host,
    bystander,
    bystanderLambda,
    target,
    run,
    close: async () => {
      await host.stop();
      await Promise.all([target.close(), redirecting.close()]);
    },
  };
}

/** One request, its path as it is: `fetch` and URL would resolve dots before they are sent. */
async function send(call: {
  url: URL;
  path: string;
  method: string;
  token: string;
  body: string;
}): Promise<Ended> {
  const { url, path, method, token, body } = call;
  const headers = {
    authorization: `Bearer ${token}`,
    'content-type': 'application/json',
    connection: 'close',
  };
  const request = openRequest({ host: url.hostname, port: url.port, path, method, headers, agent: false });
  request.end(method === 'GET' ? undefined : body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return endedOf(response.statusCode ?? 0, Buffer.concat(chunks).toString());
}

/** The case's own file stands beside a main that answers `{"well": true}` without it. */
function filesOf({ source, path }: AttackCase): Buffer {
  const files: Record<string, string> = {};
  if (source.includes("'./kit.ts'")) files['kit.ts'] = readFileSync(join(dirname(path), 'kit.ts'), 'utf8');
  if (/^export const ROUTES_TO_ADD|^export function lambda_handler/m.test(source))
    files['lambda_main.ts'] = source;
  else {
    files['attack.ts'] = source;
    files['lambda_main.ts'] =
      WRAPPER +
      (/^export (async )?function onStart/m.test(source) ? "export { onStart } from './attack.ts';\n" : '');
  }
  return archiveOf(files);
}
const WRAPPER = `import type { StandaloneLambdaRequest } from 'lambda-tools';
import * as attack from './attack.ts';
export async function main(request: StandaloneLambdaRequest) {
  if ((request.json as { well?: boolean } | undefined)?.well) return 'well';
  return (attack.main as (request: unknown) => unknown)(request);
}
`;

/** The id, where it was accepted and runs. */
async function upload(
  attack: AttackCase,
  api: TestAccount['api'],
  archive: Buffer,
  leastCpuMs = 0,
): Promise<string | Ended> {
  const limits = { ...BASE, ...OF_CLASS[attack.className], ...attack.limits };
  const deployParameters = { ...limits, cpu_ms: Math.max(leastCpuMs, limits.cpu_ms) };
  try {
    const { lambda_id: lambdaId } = (
      await api.createLambda({
        archive,
        parameters: { lambda_type: 'standalone', ...attack.parameters },
        deployParameters,
      })
    ).json;
    await api.waitUntilRunning(lambdaId).catch(async (error: unknown) => {
      await api.deleteLambda({ lambdaId });
      throw error;
    });
    return lambdaId;
  } catch (error) {
    // It was taken in, and its build, which goes on behind the reply, failed.
    if (error instanceof LambdaStateError)
      return { status: 201, json: 'failed', detail: error.message, upload: false };
    if (!(error instanceof LambdaApiError)) throw error;
    const problems = (error.problems ?? []) as { rule: string }[];
    return {
      status: error.statusCode,
      code: error.errorCode,
      detail: error.detail,
      rules: problems.map(({ rule }) => rule),
      upload: true,
    };
  }
}

/** Whatever happened, the lambda serves its next request: from a fresh isolate, within a second of the old one's end. */
async function mustBeWell(api: TestAccount['api'], lambdaId: string): Promise<void> {
  const since = performance.now();
  for (;;) {
    const reply = await callMain(api, lambdaId, { well: true });
    if (reply.statusCode === 200 && reply.json === 'well') return;
    if (performance.now() - since > RECOVERY_MS)
      throw new Error(
        `${RECOVERY_MS} ms after the attack the lambda still answers ${reply.statusCode} ${reply.text}`,
      );
  }
}
/** A second, and what a crowded machine takes. */
const RECOVERY_MS = 3_000;

function endedOf(status: number, text: string): Ended {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { status, json: text, upload: false };
  }
  const error = json as { error_code?: unknown; detail?: unknown } | null;
  if (status >= 400 && typeof error?.error_code === 'number')
    return { status, code: error.error_code, detail: String(error.detail), upload: false };
  return { status, json, upload: false };
}

export function isExpected(ended: Ended, ending: Ending): boolean {
  if (ended.upload !== ending.upload || ended.status !== ending.status) return false;
  if (ending.code !== undefined)
    return (
      ended.code === ending.code && (ending.rule === undefined || (ended.rules ?? []).includes(ending.rule))
    );
  return ended.code === undefined && JSON.stringify(ended.json) === JSON.stringify(ending.json);
}

async function listenOnLoopback(redirectTo?: string): Promise<Target> {
  let hits = 0;
  const server: Server = createServer((_request, response) => {
    hits += 1;
    if (redirectTo === undefined) response.end('secret');
    else response.writeHead(302, { location: redirectTo }).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    hits: () => hits,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
