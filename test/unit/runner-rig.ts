/** Starts the real runner over a real socketpair, and speaks the host's side of the protocol to it. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { encodeFrame, FrameDecoder, FrameType, PROTOCOL_VERSION } from '../../src/protocol/frame.ts';
import {
  parseRunnerHead,
  runnerFrameName,
  type Load,
  type RunnerHeads,
} from '../../src/protocol/messages.ts';
import { buildRunnerImage, type RunnerImage } from '../../src/pool/image.ts';
import { DEFAULT_LIMITS, type PartialLimits } from '../../src/config/limits.ts';

export interface Message<K extends keyof RunnerHeads = keyof RunnerHeads> {
  readonly name: K;
  readonly isolate: number;
  readonly id: number;
  readonly aux: number;
  readonly head: RunnerHeads[K];
  readonly body: Buffer;
}

export interface Answer {
  readonly status: number | undefined;
  readonly kind: string;
  readonly detail: string;
  readonly headers: Record<string, string>;
  readonly body: Buffer;
  readonly text: string;
  readonly json: unknown;
  readonly stack: string | undefined;
  readonly head: RunnerHeads['result'];
  readonly cpuUs: number;
}

export interface RequestOptions {
  readonly method?: string;
  readonly path?: string;
  readonly query?: string;
  readonly headers?: readonly string[];
  readonly body?: string | Uint8Array;
  readonly leftMs?: number;
  readonly requestId?: string;
  readonly rpc?: { readonly contentType: string; readonly headers?: Record<string, unknown> };
}

export type LoadOptions = Partial<Omit<Load, 'limits' | 'codeBytes'>> & {
  readonly limits?: PartialLimits;
  readonly map?: object;
};

let image: Promise<RunnerImage> | undefined;
let imageDir: string | undefined;

async function sharedImage(): Promise<RunnerImage> {
  image ??= (async () => {
    imageDir = await mkdtemp(join(tmpdir(), 'isolambda-runner-'));
    return buildRunnerImage(imageDir);
  })();
  return image;
}

/** Removes the image; for an `after` hook of the file. */
export async function removeImage(): Promise<void> {
  if (imageDir !== undefined) await rm(imageDir, { recursive: true, force: true });
}

/** A bundle in the builder's output format, from the statements of a module that assigns its exports. */
export function bundle(body: string): string {
  return `(function(__isolambda){\n"use strict";\nconst exports = {}; const tools = __isolambda["lambda-tools"];\n${body}\n;return exports;\n})`;
}

export class RunnerUnderTest {
  readonly child: ChildProcess;
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder(64 * 1024 * 1024);
  readonly #waiters: {
    test: (message: Message) => boolean;
    resolve: (message: Message) => void;
    reject: (error: Error) => void;
  }[] = [];
  readonly received: Message[] = [];
  readonly #unclaimed: Message[] = [];
  stderr = '';
  #nextId = 1;
  #nextIsolate = 1;

  constructor(child: ChildProcess) {
    this.child = child;
    this.#socket = child.stdio[3] as Socket;
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.#socket.on('error', () => undefined);
    child.stderr!.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    child.once('exit', (code, signal) => {
      for (const { reject } of this.#waiters.splice(0)) {
        reject(new Error(`the runner ended (${code ?? signal}); it said: ${this.stderr}`));
      }
    });
  }

  #receive(chunk: Buffer): void {
    for (const frame of this.#decoder.push(chunk)) {
      const name = runnerFrameName(frame.type);
      const message: Message = {
        name,
        isolate: frame.isolate,
        id: frame.id,
        aux: frame.aux,
        head: parseRunnerHead(name, frame.head),
        body: Buffer.from(frame.body),
      };
      this.received.push(message);
      const at = this.#waiters.findIndex(({ test }) => test(message));
      if (at >= 0) this.#waiters.splice(at, 1)[0]!.resolve(message);
      else this.#unclaimed.push(message);
    }
  }

  /** The next message that fits, those that nobody claimed included. */
  next<K extends keyof RunnerHeads>(
    names: K | readonly K[],
    test: (message: Message<K>) => boolean = () => true,
  ): Promise<Message<K>> {
    const wanted = new Set<string>(typeof names === 'string' ? [names] : names);
    const fits = (message: Message): boolean => wanted.has(message.name) && test(message as Message<K>);
    const at = this.#unclaimed.findIndex(fits);
    if (at >= 0) return Promise.resolve(this.#unclaimed.splice(at, 1)[0] as Message<K>);
    return new Promise((resolve, reject) => {
      this.#waiters.push({ test: fits, resolve: resolve as (message: Message) => void, reject });
    });
  }

  send(
    type: FrameType,
    isolate: number,
    id: number,
    aux: number,
    head: unknown,
    body?: Uint8Array | string,
  ): void {
    const text = typeof head === 'string' ? head : JSON.stringify(head);
    for (const part of encodeFrame(type, isolate, id, aux, text, body)) this.#socket.write(part);
  }

  /** All that `send` is called for within leaves in one write. */
  together(send: () => void): void {
    this.#socket.cork();
    send();
    this.#socket.uncork();
  }

  startLoad(code: string, options: LoadOptions = {}): number {
    const isolate = this.#nextIsolate++;
    const { limits, map, ...rest } = options;
    const codeBytes = Buffer.from(code);
    const load: Load = {
      lambdaId: `lambda-${isolate}`,
      accountId: 'account',
      version: 1,
      type: 'standalone',
      handler: rest.type === 'rpc' ? 'lambda_handler' : 'main',
      codeBytes: codeBytes.length,
      lambdaConfig: null,
      userConfig: {},
      env: {},
      services: {},
      debugErrors: false,
      profile: false,
      inline: false,
      ...rest,
      limits: { ...DEFAULT_LIMITS, ...limits } as Load['limits'],
    };
    const mapBytes = Buffer.from(map === undefined ? '' : JSON.stringify(map));
    this.send(FrameType.load, isolate, 0, 0, load, Buffer.concat([codeBytes, mapBytes]));
    return isolate;
  }

  /** Loads a module (see `bundle`); fails the test where it does not start. */
  async load(module: string, options: LoadOptions = {}): Promise<number> {
    const isolate = this.startLoad(bundle(module), options);
    const message = await this.next(['loaded', 'loadFailed'], (m) => m.isolate === isolate);
    assert.equal(message.name, 'loaded', JSON.stringify(message.head));
    return isolate;
  }

  async loadFails(module: string, options: LoadOptions = {}): Promise<RunnerHeads['loadFailed']> {
    const isolate = this.startLoad(bundle(module), options);
    const message = await this.next(['loaded', 'loadFailed'], (m) => m.isolate === isolate);
    assert.equal(message.name, 'loadFailed', JSON.stringify(message.head));
    return message.head as RunnerHeads['loadFailed'];
  }

  startInvoke(isolate: number, request: RequestOptions = {}): number {
    const id = this.#nextId++;
    const leftMs = request.leftMs ?? 30_000;
    const common = {
      requestId: request.requestId ?? `request-${id}`,
      accountId: 'account',
      deadlineMs: Date.now() + leftMs,
    };
    const head =
      request.rpc === undefined
        ? {
            kind: 'http',
            ...common,
            method: request.method ?? 'POST',
            path: request.path ?? '/main',
            query: request.query ?? '',
            headers: request.headers ?? ['content-type', 'application/json'],
            clientIp: '127.0.0.1',
          }
        : { kind: 'rpc', ...common, headers: {}, redelivered: false, ...request.rpc };
    this.send(FrameType.invoke, isolate, id, leftMs, head, request.body ?? '');
    return id;
  }

  bridgeReply(isolate: number, id: number, head: object, body: string | Uint8Array = ''): void {
    this.send(FrameType.bridgeReply, isolate, id, 0, head, body);
  }

  cancel(isolate: number, id: number): void {
    this.send(FrameType.cancel, isolate, id, 0, '');
  }

  async invoke(isolate: number, request: RequestOptions = {}): Promise<Answer> {
    return this.result(this.startInvoke(isolate, request));
  }

  async result(id: number): Promise<Answer> {
    const message = await this.next('result', (m) => m.id === id);
    const head = message.head;
    const isReply = head.kind === 'reply';
    const headers: Record<string, string> = {};
    if (isReply)
      for (let i = 0; i < head.headers.length; i += 2) headers[head.headers[i]!] = head.headers[i + 1]!;
    const { body } = message;
    return {
      status: head.status,
      kind: head.kind,
      detail: isReply ? '' : head.detail,
      headers,
      body,
      text: body.toString('utf8'),
      get json() {
        return JSON.parse(body.toString('utf8')) as unknown;
      },
      stack: isReply ? undefined : head.stack,
      head,
      cpuUs: message.aux,
    };
  }

  /** Log lines of an isolate so far. */
  lines(isolate: number): RunnerHeads['log']['lines'] {
    return this.received
      .filter((message): message is Message<'log'> => message.name === 'log' && message.isolate === isolate)
      .flatMap(({ head }) => head.lines);
  }

  dropped(isolate: number): number {
    return this.received
      .filter((message): message is Message<'log'> => message.name === 'log' && message.isolate === isolate)
      .reduce((sum, { head }) => sum + head.dropped, 0);
  }

  async exited(): Promise<{ code: number | null; signal: string | null }> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'exit');
    return { code: this.child.exitCode, signal: this.child.signalCode };
  }
}

/** A runner process that has said `ready` (where the protocol is its own); killed when the test ends. */
export async function startRunner(t: TestContext, protocol = PROTOCOL_VERSION): Promise<RunnerUnderTest> {
  const { dir, entry } = await sharedImage();
  const child = spawn(
    process.execPath,
    [
      '--no-node-snapshot',
      '--permission',
      '--allow-addons',
      `--allow-fs-read=${dir}`,
      '--no-warnings',
      entry,
    ],
    { cwd: dir, env: {}, stdio: ['ignore', 'ignore', 'pipe', 'pipe'] },
  );
  t.after(() => void child.kill('SIGKILL'));
  const runner = new RunnerUnderTest(child);
  runner.send(FrameType.hello, 0, 0, 0, {
    protocol,
    maxFrameBytes: 64 * 1024 * 1024,
    aheadMb: 32,
  });
  if (protocol === PROTOCOL_VERSION) await runner.next('ready');
  return runner;
}
