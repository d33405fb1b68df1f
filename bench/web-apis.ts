/**
 * What the bootstrap of an isolate is made of and costs: size by origin, start with and without the code cache, and the first
 * touch of each web API. `node --no-node-snapshot bench/web-apis.ts`; one JSON line a figure; docs/web-apis.md quotes them.
 */
import { readFileSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { SHARED_SLOTS, ToGuest } from '../sandbox/bridge/wire.ts';
import { webBundleOptions } from '../sandbox/guest/web/bundle.ts';
import { loadAddon } from '../sandbox/runner/addon.ts';
import { bootGuest } from '../sandbox/runner/boot.ts';
import { FreshIsolate } from '../sandbox/runner/fresh-isolate.ts';
import { readGuestCode, type GuestCode } from '../sandbox/runner/guest-code.ts';
import { DEFAULT_LIMITS } from '../src/config/limits.ts';
import { buildRunnerImage } from '../src/pool/image.ts';
import type { Load } from '../src/protocol/messages.ts';
import { median } from './statistics.ts';

const ROUNDS = 9;

/** What a lambda's first request touches; `nothing` is what the others are compared with. */
const TOUCHES: Readonly<Record<string, string>> = {
  nothing: '0',
  'setTimeout(...)': 'setTimeout(() => {}, 1e6)',
  'new Response("x")': 'new Response("x")',
  'new AbortController()': 'new AbortController()',
  'new TextEncoder()': 'new TextEncoder()',
  'crypto.randomUUID()': 'crypto.randomUUID()',
  'structuredClone({})': 'structuredClone({})',
  'new ReadableStream()': 'new ReadableStream()',
  'new URL("http://a/")': 'new URL("http://a/")',
  'new URL("http://ä/")': 'new URL("http://\\u00e4/")',
  'new URLPattern({})': 'new URLPattern({})',
  'fetch("http://a/")': 'void fetch("http://a/").catch(() => {})',
};

const say = (name: string, value: number, unit: string): void =>
  console.log(JSON.stringify({ bench: 'web-apis', name, value: Number(value.toFixed(2)), unit }));

const load: Load = {
  lambdaId: 'bench',
  accountId: 'bench',
  version: 1,
  type: 'standalone',
  handler: 'main',
  codeBytes: 0,
  limits: DEFAULT_LIMITS,
  lambdaConfig: null,
  userConfig: {},
  env: {},
  services: {},
  debugErrors: false,
  profile: false,
  inline: false,
};
const request = (): string =>
  JSON.stringify({
    kind: 'http',
    requestId: 'bench',
    accountId: 'bench',
    deadlineMs: Date.now() + 60_000,
    method: 'POST',
    path: '/main',
    query: '',
    headers: [],
    clientIp: '127.0.0.1',
  });

const dir = await mkdtemp(join(tmpdir(), 'isolambda-bench-'));
await buildRunnerImage(dir);
const ivm = loadAddon(dir);
const guest = readGuestCode(ivm, dir);

interface Start {
  readonly bootMs: number;
  readonly firstMs: number;
  readonly bootKb: number;
  readonly firstKb: number;
}

/** One fresh isolate, from nothing to its first reply. Heap before any collection: what the start adds is what counts against memory_mb. */
async function start(code: GuestCode, touch: string): Promise<Start> {
  const fresh = new FreshIsolate({ ivm, guest: code }, 128, false);
  const { isolate } = fresh;
  const heap = (): number => isolate.getHeapStatisticsSync().used_heap_size / 1024;
  try {
    const began = performance.now();
    const { deliver } = await bootGuest(ivm, fresh, {
      load,
      code: `(function (m) { return { main: (request) => { ${touch}; return null; } }; })`,
      memory: new SharedArrayBuffer(SHARED_SLOTS * Int32Array.BYTES_PER_ELEMENT),
      post: () => undefined,
    });
    await deliver([{ type: ToGuest.start, id: 0, head: '', body: '' }]);
    const booted = performance.now();
    const bootKb = heap();
    await deliver([{ type: ToGuest.invoke, id: 1, head: request(), body: '' }]);
    return { bootMs: booted - began, firstMs: performance.now() - booted, bootKb, firstKb: heap() };
  } finally {
    isolate.dispose();
  }
}

/** Every touch once a round, in turn: whatever else the machine does is spread over all of them. */
async function rounds(
  code: GuestCode,
  touches: Readonly<Record<string, string>>,
): Promise<Map<string, Start[]>> {
  const starts = new Map<string, Start[]>(Object.keys(touches).map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round++)
    for (const [name, touch] of Object.entries(touches)) starts.get(name)!.push(await start(code, touch));
  return starts;
}

async function sizes(): Promise<void> {
  say('guest.js, all of the bootstrap', statSync(join(dir, 'guest.js')).size / 1024, 'KB');
  say('guest.cache, its compiled code', statSync(join(dir, 'guest.cache')).size / 1024, 'KB');
  const web = fileURLToPath(new URL('../sandbox/guest/web', import.meta.url));
  const { metafile } = await build({
    ...webBundleOptions(web),
    entryPoints: [join(web, 'install.ts')],
    format: 'iife',
    globalName: 'web',
    metafile: true,
    write: false,
    outfile: 'web.js',
  });
  const bytes = new Map<string, number>();
  for (const [path, { bytesInOutput }] of Object.entries(Object.values(metafile.outputs)[0]!.inputs)) {
    const origin = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? 'written here';
    bytes.set(origin, (bytes.get(origin) ?? 0) + bytesInOutput);
  }
  for (const [origin, size] of [...bytes].sort(([, a], [, b]) => b - a))
    say(`web APIs: ${origin}`, size / 1024, 'KB');
}

try {
  await sizes();
  await start(guest, '0');
  const bare: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const began = performance.now();
    const isolate = new ivm.Isolate({ memoryLimit: 128 });
    await isolate.createContext();
    bare.push(performance.now() - began);
    isolate.dispose();
  }
  say('bare isolate and context', median(bare), 'ms');
  const uncached = await rounds(
    { source: readFileSync(join(dir, 'guest.js'), 'utf8'), cache: undefined },
    { nothing: '0' },
  );
  say('start without the code cache', median(uncached.get('nothing')!.map(({ bootMs }) => bootMs)), 'ms');
  const cached = await rounds(guest, TOUCHES);
  const all = [...cached.values()].flat();
  say('start with it', median(all.map(({ bootMs }) => bootMs)), 'ms');
  say('heap after the start', median(all.map(({ bootKb }) => bootKb)), 'KB');
  const nothing = cached.get('nothing')!;
  const [ms, kb] = [
    median(nothing.map(({ firstMs }) => firstMs)),
    median(nothing.map(({ firstKb, bootKb }) => firstKb - bootKb)),
  ];
  say('first request, touching nothing', ms, 'ms');
  for (const [name, starts] of cached) {
    if (name === 'nothing') continue;
    say(`first ${name}`, median(starts.map(({ firstMs }) => firstMs)) - ms, 'ms');
    say(`first ${name}`, median(starts.map(({ firstKb, bootKb }) => firstKb - bootKb)) - kb, 'KB');
  }
} finally {
  await rm(dir, { recursive: true, force: true });
}
