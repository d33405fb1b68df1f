/**
 * Writes the guest's code cache to standard output. V8 caches what is compiled, and compiles a function when it is first
 * called; so the guest is booted once and serves a request of a lambda that stands here, and then its script is compiled
 * again: V8 finds what it compiled, with all that has run. No tenant's code is ever in this process.
 */
import type IsolatedVm from 'isolated-vm';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Load } from '../../src/protocol/messages.ts';
import { GUEST_SCRIPT, SHARED_SLOTS, ToGuest } from '../bridge/wire.ts';
import { loadAddon } from './addon.ts';
import { bootGuest } from './boot.ts';
import { FreshIsolate } from './fresh-isolate.ts';

const MEMORY_MB = 128;
const LAMBDA = `(function (m) { return {
  main: async (request) => { console.log("%s", 1); return request.json; },
}; })`;
const LOAD: Load = {
  lambdaId: 'warm',
  accountId: 'warm',
  version: 1,
  type: 'standalone',
  handler: 'main',
  codeBytes: LAMBDA.length,
  limits: {
    memory_mb: MEMORY_MB,
    cpu_ms: 1_000,
    startup_ms: 5_000,
    shutdown_ms: 5_000,
    reply_bytes: 1_000_000,
    header_bytes: 16_384,
    log_line_bytes: 16_384,
    log_bytes_per_s: 1_000_000,
    fetches: 50,
    fetch_concurrency: 6,
    fetch_bytes: 1_000_000,
  },
  lambdaConfig: null,
  userConfig: {},
  env: {},
  services: {},
  debugErrors: false,
  profile: false,
  inline: false,
};
const REQUEST = JSON.stringify({
  kind: 'http',
  requestId: 'warm',
  accountId: 'warm',
  deadlineMs: Date.now() + 60_000,
  method: 'POST',
  path: '/main',
  query: '',
  headers: ['content-type', 'application/json'],
  clientIp: '127.0.0.1',
});

async function makeCache(): Promise<Uint8Array> {
  const ivm = loadAddon(__dirname);
  const source = readFileSync(join(__dirname, 'guest.js'), 'utf8');
  const fresh = new FreshIsolate({ ivm, guest: { source, cache: undefined } }, MEMORY_MB, false);
  const { deliver } = await bootGuest(ivm, fresh, {
    load: LOAD,
    code: LAMBDA,
    memory: new SharedArrayBuffer(SHARED_SLOTS * Int32Array.BYTES_PER_ELEMENT),
    post: () => undefined,
  });
  await deliver([{ type: ToGuest.start, id: 0, head: '', body: '' }]);
  await deliver([{ type: ToGuest.invoke, id: 1, head: REQUEST, body: '{"a":1}' }]);
  const script = (await fresh.isolate.compileScript(source, {
    filename: GUEST_SCRIPT,
    produceCachedData: true,
  })) as IsolatedVm.Script & { readonly cachedData?: IsolatedVm.ExternalCopy<ArrayBuffer> };
  if (script.cachedData === undefined) throw new Error('V8 made no code cache of guest.js');
  return new Uint8Array(script.cachedData.copy());
}

void makeCache().then((cache) => process.stdout.write(cache));
