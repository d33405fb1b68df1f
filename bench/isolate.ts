/**
 * What an isolate costs, without a host: calls alone and in batches of 32, the load of a small lambda, memory for each
 * isolate. `node bench/isolate.ts`; one JSON line a figure.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeFrame, FrameDecoder, FrameType, PROTOCOL_VERSION, type Frame } from '../src/protocol/frame.ts';
import { DEFAULT_LIMITS } from '../src/config/limits.ts';
import { buildRunnerImage } from '../src/pool/image.ts';

const CODE = '(function(m){"use strict"; return { main: async (request) => request.json }; })';
const BODY = JSON.stringify({ name: 'a name', value: 12345, list: [1, 2, 3], more: 'x'.repeat(10) });
const LOADS = 60;

const dir = await mkdtemp(join(tmpdir(), 'isolambda-bench-'));
const { entry } = await buildRunnerImage(dir);
const child = spawn(
  process.execPath,
  ['--no-node-snapshot', '--permission', '--allow-addons', `--allow-fs-read=${dir}`, '--no-warnings', entry],
  { env: {}, stdio: ['ignore', 'inherit', 'inherit', 'pipe'] },
);
const socket = child.stdio[3] as Socket;
const decoder = new FrameDecoder(64 * 1024 * 1024);
let onFrame: (frame: Frame) => void = () => undefined;
socket.on('data', (chunk: Buffer) => {
  for (const frame of decoder.push(chunk)) onFrame(frame);
});

function write(
  type: FrameType,
  isolate: number,
  id: number,
  head: unknown,
  body: string | Uint8Array = '',
): void {
  for (const part of encodeFrame(
    type,
    isolate,
    id,
    type === FrameType.invoke ? 30_000 : 0,
    JSON.stringify(head),
    body,
  )) {
    socket.write(part);
  }
}

function frame(type: number): Promise<Frame> {
  return new Promise((resolve, reject) => {
    onFrame = (got) => {
      if (got.type === type) resolve(got);
      else if (got.type === FrameType.loadFailed) reject(new Error(got.head));
    };
  });
}

const load = (isolate: number): Promise<Frame> => {
  const loaded = frame(FrameType.loaded);
  const head = {
    lambdaId: `lambda-${isolate}`,
    accountId: 'account',
    version: 1,
    type: 'standalone',
    handler: 'main',
    codeBytes: CODE.length,
    limits: DEFAULT_LIMITS,
    lambdaConfig: null,
    userConfig: {},
    env: {},
    services: {},
    debugErrors: false,
    profile: false,
  };
  write(FrameType.load, isolate, 0, head, CODE);
  return loaded;
};

const head = {
  kind: 'http',
  requestId: '01234567-89ab-cdef-0123-456789abcdef',
  accountId: 'account',
  deadlineMs: Date.now() + 600_000,
  method: 'POST',
  path: '/main',
  query: '',
  headers: [
    'host',
    '127.0.0.1:8080',
    'content-type',
    'application/json',
    'user-agent',
    'bench',
    'accept',
    '*/*',
  ],
  clientIp: '127.0.0.1',
};

/** Microseconds a call, with so many sent together. */
function calls(isolate: number, batch: number, rounds: number): Promise<number> {
  return new Promise((resolve) => {
    const began = performance.now();
    let left = rounds;
    let open = 0;
    const round = (): void => {
      if (left-- === 0) return resolve(((performance.now() - began) * 1_000) / (rounds * batch));
      open = batch;
      socket.cork();
      for (let i = 1; i <= batch; i++) write(FrameType.invoke, isolate, i, head, BODY);
      socket.uncork();
    };
    onFrame = ({ type }) => {
      if (type === FrameType.result && --open === 0) round();
    };
    round();
  });
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
const say = (name: string, value: number, unit: string): void =>
  console.log(JSON.stringify({ bench: 'isolate', name, value: Number(value.toFixed(2)), unit }));
const residentMb = (): number =>
  Number(/Rss:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/smaps_rollup`, 'utf8'))![1]) / 1024;

write(FrameType.hello, 0, 0, { protocol: PROTOCOL_VERSION, maxFrameBytes: 64 * 1024 * 1024 });
await frame(FrameType.ready);
await load(1);
const before = residentMb();
const times: number[] = [];
const wholes: number[] = [];
for (let i = 2; i < 2 + LOADS; i++) {
  const began = performance.now();
  const { head: loaded } = await load(i);
  wholes.push(performance.now() - began);
  times.push((JSON.parse(loaded) as { ms: number }).ms);
}
say('load, in the runner', median(times), 'ms');
say('load, as the host sees it', median(wholes), 'ms');
say('memory for each isolate', (residentMb() - before) / LOADS, 'MiB');
await calls(1, 32, 300);
for (let i = 0; i < 3; i++) {
  say('call alone, round trip', await calls(1, 1, 3_000), 'us');
  say('call in a batch of 32', await calls(1, 32, 500), 'us');
}
child.kill('SIGKILL');
await once(child, 'exit');
await rm(dir, { recursive: true, force: true });
