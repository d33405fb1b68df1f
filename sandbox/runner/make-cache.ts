/**
 * Writes the guest's code cache to standard output. It runs the guest once, as a runner would boot it, so that the
 * cache holds the functions that a boot calls, too. No tenant's code is ever in this process.
 */
import type IsolatedVm from 'isolated-vm';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadAddon } from './addon.ts';
import { GUEST_SCRIPT } from '../bridge/wire.ts';

const ivm = loadAddon(__dirname);
const isolate = new ivm.Isolate({ memoryLimit: 128 });
const script = isolate.compileScriptSync(readFileSync(join(__dirname, 'guest.js'), 'utf8'), {
  filename: GUEST_SCRIPT,
  produceCachedData: true,
}) as IsolatedVm.Script & { readonly cachedData?: IsolatedVm.ExternalCopy<ArrayBuffer> };
if (script.cachedData === undefined) throw new Error('V8 made no code cache of guest.js');
process.stdout.write(new Uint8Array(script.cachedData.copy()));
