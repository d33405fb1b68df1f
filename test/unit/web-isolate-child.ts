/**
 * The other half of web-isolate.ts: a process of its own, because isolated-vm wants --no-node-snapshot and because a
 * crash of an isolate must not take the test runner along.
 */
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import ivm from 'isolated-vm';
import { acceptDomain } from '../../sandbox/bridge/domain.ts';
import { webBundleOptions } from '../../sandbox/guest/web/bundle.ts';

export interface ChildRequest {
  id: number;
  source: string;
  argument: string;
  fresh: boolean;
}
export type ChildReply = { id: number; result: string } | { id: number; error: string };

const webFolder = fileURLToPath(new URL('../../sandbox/guest/web', import.meta.url));

/** The host inside the isolate: timers through a callback, a `fetch` that answers with what it was asked. */
const HOST = `
const timers = new Map();
let lastId = 0;
const reported = [];
const host = {
  now: () => $1.applySync(undefined, []),
  randomBytes: (length) => new Uint8Array($2.applySync(undefined, [length], { result: { copy: true } })),
  domainToASCII: (domain) => $5.applySync(undefined, [domain]),
  setTimer(callback, delayMs, repeat) {
    const id = ++lastId;
    timers.set(id, { callback, repeat });
    $3.applyIgnored(undefined, [id, delayMs, repeat]);
    return id;
  },
  clearTimer(id) { timers.delete(id); $4.applyIgnored(undefined, [id]); },
  async fetch(request) {
    const path = request.url.replace(/^https?:\\/\\/[^/]*/, '');
    if (path === '/fail') throw new Error('egress.denied: example is not on the allow-list');
    if (path === '/hang') return new Promise((resolve, reject) => request.signal.onAbort(() => { reported.push('host aborted'); reject(new Error('late')); }));
    const body = typeof request.body === 'string' ? request.body : request.body === undefined ? null : [...request.body];
    return {
      status: path === '/404' ? 404 : 200, statusText: 'Fine', url: request.url, redirected: path === '/moved',
      headers: [['Content-Type', 'application/json'], ['Set-Cookie', 'a=1'], ['set-cookie', 'b=2'], ['bad name', 'x']],
      body: JSON.stringify({ method: request.method, url: request.url, headers: request.headers, body, redirect: request.redirect }),
    };
  },
  reportError(error) { reported.push(String(error && error.message || error)); },
};
const web = $0.installWebApis(globalThis, host);
globalThis.webClasses = web;
globalThis.reportedErrors = reported;
return (id) => {
  const timer = timers.get(id);
  if (timer === undefined) return;
  if (!timer.repeat) timers.delete(id);
  timer.callback();
};
`;

async function bundle(): Promise<string> {
  const built = await build({
    ...webBundleOptions(webFolder),
    entryPoints: [`${webFolder}/install.ts`],
    format: 'iife',
    globalName: 'web',
    write: false,
  });
  const text = built.outputFiles?.[0]?.text;
  if (text === undefined) throw new Error('esbuild gave no output');
  return text;
}

interface Guest {
  context: ivm.Context;
  /** Bytes of heap that the bootstrap costs, with its code cache, before anything is touched. */
  installBytes: number;
}

const code = `(function () { ${await bundle()}; return web; })()`;
let cachedData: ivm.ExternalCopy<ArrayBuffer> | undefined;

/** After collections, since one leaves what the next finds: garbage would make the figure a matter of luck. --expose-gc puts `gc` into each context. */
function liveBytes(isolate: ivm.Isolate, context: ivm.Context): number {
  for (let round = 0; round < 3; round += 1) context.evalSync('gc()');
  return isolate.getHeapStatisticsSync().used_heap_size;
}

async function newGuest(): Promise<Guest> {
  const isolate = new ivm.Isolate({ memoryLimit: 256 });
  const context = await isolate.createContext();
  const before = liveBytes(isolate, context);
  const script = await isolate.compileScript(
    code,
    cachedData === undefined ? { produceCachedData: true } : { cachedData },
  );
  const web = await script.run(context, { reference: true });
  const timers = new Map<number, NodeJS.Timeout>();
  const guest: { fire?: ivm.Reference } = {};
  const callbacks = [
    () => Date.now(),
    (length: number) => new ivm.ExternalCopy(new Uint8Array(randomBytes(length)).buffer).copyInto(),
    (id: number, delayMs: number, repeat: boolean) => {
      const run = (): void => void guest.fire?.apply(undefined, [id]).catch(() => undefined);
      timers.set(id, repeat ? setInterval(run, delayMs) : setTimeout(run, delayMs));
    },
    (id: number) => clearTimeout(timers.get(id)),
    acceptDomain,
  ].map((callback) => new ivm.Reference(callback));
  const fire: unknown = await context.evalClosure(HOST, [web.derefInto(), ...callbacks], {
    result: { reference: true },
  });
  if (!(fire instanceof ivm.Reference)) throw new Error('the host inside the isolate gave no function');
  guest.fire = fire;
  const installBytes = liveBytes(isolate, context) - before;
  await context.eval('delete globalThis.gc');
  if ('cachedData' in script && script.cachedData instanceof ivm.ExternalCopy)
    cachedData ??= script.cachedData;
  return { context, installBytes };
}

await newGuest();
let shared = await newGuest();

process.on('message', (request: ChildRequest) => {
  void answer(request).then((reply) => process.send?.(reply));
});
process.send?.({ id: 0, result: 'ready' } satisfies ChildReply);

async function answer({ id, source, argument, fresh }: ChildRequest): Promise<ChildReply> {
  try {
    if (fresh) shared = await newGuest();
    const result: unknown = await shared.context.evalClosure(
      `'use strict'; return (async () => JSON.stringify({ value: await (${source})(JSON.parse($0), $1) }))()`,
      [argument, shared.installBytes],
      { result: { promise: true, copy: true }, timeout: 30_000 },
    );
    return { id, result: String(result) };
  } catch (error) {
    return { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}
