import type IsolatedVm from 'isolated-vm';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Ivm } from './addon.ts';
import { GUEST_SCRIPT } from '../bridge/wire.ts';

/** The guest's script, and what V8 compiled of it in a process that never saw a tenant's code. */
export interface GuestCode {
  readonly source: string;
  readonly cache: IsolatedVm.ExternalCopy<ArrayBuffer> | undefined;
}

export function readGuestCode(ivm: Ivm, imageDir: string): GuestCode {
  const source = readFileSync(join(imageDir, 'guest.js'), 'utf8');
  let cached: Buffer;
  try {
    cached = readFileSync(join(imageDir, 'guest.cache'));
  } catch {
    return { source, cache: undefined };
  }
  const bytes = new ArrayBuffer(cached.length);
  new Uint8Array(bytes).set(cached);
  return { source, cache: new ivm.ExternalCopy(bytes) };
}

/** Compiles and runs the guest's script; its value is the `boot` function. A stale cache only costs time. */
export async function bootFunction(
  isolate: IsolatedVm.Isolate,
  context: IsolatedVm.Context,
  code: GuestCode,
): Promise<IsolatedVm.Reference> {
  const script = await isolate.compileScript(code.source, {
    filename: GUEST_SCRIPT,
    ...(code.cache === undefined ? {} : { cachedData: code.cache }),
  });
  const boot = await script.run(context, { reference: true });
  script.release();
  return boot;
}
