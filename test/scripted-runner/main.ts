/**
 * A runner that does what it is told, well-behaved or not: the host's tests of faults. Speaks the protocol without
 * isolates. `lambdaConfig.load` says how a load goes; the body of an invocation is a script: see `Script`.
 */
import { Socket } from 'node:net';
import { compileFunction } from 'node:vm';
import {
  encodeFrame,
  FrameDecoder,
  FrameType,
  PROTOCOL_VERSION,
  type Frame,
} from '../../src/protocol/frame.ts';
import type { Load } from '../../src/protocol/messages.ts';

/** How the process boots: set by the image builder. */
declare const BOOT: 'well' | 'silent' | 'exit' | 'chatty' | 'old';

export type Script =
  | { readonly do: 'reply'; readonly headers?: readonly string[]; readonly bytes?: number }
  | { readonly do: 'head'; readonly head: unknown; readonly cpuUs?: number }
  /** Never answered, cancelled or not. */
  | { readonly do: 'ignore' }
  /** Answered when `release` comes, to any isolate of the lambda. */
  | { readonly do: 'hold' }
  | { readonly do: 'release' }
  | { readonly do: 'raw'; readonly base64: string }
  | {
      readonly do: 'frame';
      readonly type: number;
      readonly isolate?: number;
      readonly id?: number;
      readonly head: string;
      readonly bytes?: number;
      readonly times?: number;
    }
  | { readonly do: 'twice' }
  | { readonly do: 'exit' }
  | { readonly do: 'close' }
  /** Blocks the event loop, computing. */
  | { readonly do: 'spin'; readonly ms: number }
  | { readonly do: 'eat'; readonly mib: number }
  | { readonly do: 'print'; readonly bytes: number }
  /** The isolate breaks a limit: this invocation is the culprit, held ones had not entered. */
  | { readonly do: 'lose' }
  | { readonly do: 'fetch'; readonly times: number; readonly url: string; readonly bytes?: number }
  /** Runs code in this process, with `require`; answers what it gives, or what it threw. */
  | { readonly do: 'eval'; readonly code: string };

interface Isolate {
  readonly load: Load;
  readonly held: number[];
  userConfig: unknown;
  unloading: boolean;
}

const socket = new Socket({ fd: 3 });
const decoder = new FrameDecoder(0x4000_0000);
const isolates = new Map<number, Isolate>();
const fetching = new Map<number, { invocation: number; isolate: number; left: number; codes: string[] }>();
let lastBridgeId = 0;
const kept: Buffer[] = [];

socket.on('data', (chunk: Buffer) => {
  for (const frame of decoder.push(chunk)) receive(frame);
});
socket.on('close', () => process.exit(0));
if (BOOT === 'exit') process.exit(3);
if (BOOT === 'chatty') send(FrameType.pong, 0, 1, '{"isolates":[]}');

function send(
  type: number,
  isolate: number,
  id: number,
  head: string,
  body: Uint8Array | string = '',
  aux = 0,
): void {
  for (const bytes of encodeFrame(type as FrameType, isolate, id, aux, head, body)) socket.write(bytes);
}

function reply(isolate: number, id: number, value: unknown, aux = 0): void {
  const head = { kind: 'reply', status: 200, headers: ['content-type', 'application/json'] };
  send(FrameType.result, isolate, id, JSON.stringify(head), JSON.stringify(value) ?? 'null', aux);
}

function receive(frame: Frame): void {
  switch (frame.type) {
    case FrameType.hello:
      if (BOOT === 'silent') return;
      return send(
        FrameType.ready,
        0,
        0,
        JSON.stringify({ protocol: BOOT === 'old' ? 0 : PROTOCOL_VERSION, node: process.version, v8: '' }),
      );
    case FrameType.load:
      return load(frame);
    case FrameType.ping:
      return send(
        FrameType.pong,
        0,
        frame.id,
        JSON.stringify({
          isolates: [...isolates].map(([isolate, { held }]) => ({
            isolate,
            heapBytes: 1000,
            cpuMs: 1,
            inFlight: held.length,
          })),
        }),
      );
    case FrameType.configure:
      isolates.get(frame.isolate)!.userConfig = (
        JSON.parse(frame.head) as { userConfig: unknown }
      ).userConfig;
      return;
    case FrameType.unload:
      return unload(frame);
    case FrameType.invoke:
      return invoke(frame);
    case FrameType.bridgeReply:
      return onBridgeReply(frame);
    case FrameType.cancel: {
      const isolate = isolates.get(frame.isolate);
      const at = isolate?.held.indexOf(frame.id) ?? -1;
      if (isolate && at >= 0) {
        isolate.held.splice(at, 1);
        send(FrameType.result, frame.isolate, frame.id, JSON.stringify({ kind: 'canceled', detail: '' }));
      }
      return;
    }
    default:
      return;
  }
}

function load(frame: Frame): void {
  const head = JSON.parse(frame.head) as Load;
  const how = (head.lambdaConfig as { load?: string } | null)?.load ?? 'well';
  if (how === 'exit') process.exit(4);
  if (how === 'never') return;
  if (how === 'fail')
    return send(
      FrameType.loadFailed,
      frame.isolate,
      0,
      JSON.stringify({ kind: 'start_failed', detail: 'told to fail' }),
    );
  isolates.set(frame.isolate, { load: head, held: [], userConfig: head.userConfig, unloading: false });
  send(FrameType.loaded, frame.isolate, 0, JSON.stringify({ ms: 1, routes: [] }));
}

function unload(frame: Frame): void {
  const isolate = isolates.get(frame.isolate)!;
  isolate.unloading = true;
  finishUnload(frame.isolate, isolate);
}

function finishUnload(number: number, isolate: Isolate): void {
  if (!isolate.unloading || isolate.held.length > 0) return;
  isolates.delete(number);
  send(FrameType.unloaded, number, 0, '{}');
}

function invoke(frame: Frame): void {
  const isolate = isolates.get(frame.isolate);
  if (!isolate) return;
  const script = JSON.parse(frame.body.toString()) as Script;
  const { isolate: number, id } = frame;
  switch (script.do) {
    case 'reply':
      return send(
        FrameType.result,
        number,
        id,
        JSON.stringify({ kind: 'reply', status: 200, headers: script.headers ?? [] }),
        script.bytes === undefined
          ? JSON.stringify({
              pid: process.pid,
              isolate: number,
              account: isolate.load.accountId,
              userConfig: isolate.userConfig,
            })
          : Buffer.alloc(script.bytes),
        42,
      );
    case 'head':
      return send(FrameType.result, number, id, JSON.stringify(script.head), '', script.cpuUs);
    case 'ignore':
      return;
    case 'hold':
      isolate.held.push(id);
      return;
    case 'release':
      reply(number, id, null);
      for (const [other, each] of [...isolates]) {
        if (each.load.lambdaId !== isolate.load.lambdaId) continue;
        for (const held of each.held.splice(0)) reply(other, held, 'released');
        finishUnload(other, each);
      }
      return;
    case 'raw':
      socket.write(Buffer.from(script.base64, 'base64'));
      return;
    case 'frame':
      for (let time = 0; time < (script.times ?? 1); time++)
        send(
          script.type,
          script.isolate ?? number,
          script.id ?? id,
          script.head,
          Buffer.alloc(script.bytes ?? 0),
        );
      return;
    case 'twice':
      reply(number, id, 1);
      return reply(number, id, 2);
    case 'exit':
      process.exit(5);
      break;
    case 'close':
      socket.end();
      return;
    case 'spin': {
      const end = Date.now() + script.ms;
      while (Date.now() < end);
      return reply(number, id, 'spun');
    }
    case 'eat':
      kept.push(Buffer.alloc(script.mib * 1024 * 1024, 1));
      isolate.held.push(id);
      return;
    case 'print':
      process.stdout.write('x'.repeat(script.bytes));
      process.stderr.write('y'.repeat(script.bytes));
      return reply(number, id, 'printed');
    case 'lose':
      isolates.delete(number);
      send(FrameType.result, number, id, JSON.stringify({ kind: 'cpu_limit', detail: 'told to' }));
      return send(
        FrameType.isolateGone,
        number,
        0,
        JSON.stringify({ reason: 'cpu_limit', detail: 'told to', notEntered: isolate.held }),
      );
    case 'fetch':
      // One write, so that the host reads all of them before it answers any.
      socket.cork();
      for (let time = 0; time < script.times; time++) {
        fetching.set(++lastBridgeId, { invocation: id, isolate: number, left: script.times, codes: [] });
        const head = { bridge: 'fetch', invocation: id, method: 'GET', url: script.url };
        send(
          FrameType.bridgeCall,
          number,
          lastBridgeId,
          JSON.stringify(head),
          Buffer.alloc(script.bytes ?? 0),
        );
      }
      socket.uncork();
      return;
    case 'eval':
      return void evaluate(number, id, script.code);
  }
}

const answers = new Map<number, string[]>();
function onBridgeReply(frame: Frame): void {
  const waiting = fetching.get(frame.id);
  if (!waiting) return;
  const head = JSON.parse(frame.head) as { ok: boolean; code?: string };
  const codes = answers.get(waiting.invocation) ?? [];
  codes.push(head.ok ? 'ok' : (head.code ?? ''));
  answers.set(waiting.invocation, codes);
  if (codes.length === waiting.left) reply(waiting.isolate, waiting.invocation, codes);
}

async function evaluate(isolate: number, id: number, code: string): Promise<void> {
  try {
    const run = compileFunction(`return (async () => { ${code} })()`, ['require', 'process']) as (
      ...given: unknown[]
    ) => Promise<unknown>;
    reply(isolate, id, { gave: await run(require, process) });
  } catch (error) {
    const { code: errorCode, message } = error as NodeJS.ErrnoException;
    reply(isolate, id, { threw: errorCode ?? message });
  }
}
