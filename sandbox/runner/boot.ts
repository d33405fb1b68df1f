import type IsolatedVm from 'isolated-vm';
import { randomBytes } from 'node:crypto';
import type { Load } from '../../src/protocol/messages.ts';
import { acceptDomain } from '../bridge/domain.ts';
import { INLINE_AT, LAMBDA_SCRIPT, type Body, type GuestSettings } from '../bridge/wire.ts';
import type { Ivm } from './addon.ts';
import type { FreshIsolate } from './fresh-isolate.ts';
import { packItems, type Item } from './intake.ts';

/** Bytes that the guest's random generator starts from. */
const SEED_BYTES = 32;
const NONE: readonly unknown[] = [];

export interface BootedGuest {
  /** The one way into the isolate, not to be called while an entry runs. Resolves when the call and the microtasks behind it have ended. */
  readonly deliver: (items: readonly Item[]) => Promise<unknown>;
  /** The same on this thread: returns when they have ended. Throws what `deliver` rejects with. */
  readonly deliverInline: (items: readonly Item[]) => void;
}

/** What arrives as the guest posts it: an index, a text and bodies apart, if it is a guest that speaks. */
export type Posted = readonly [index: unknown, text: unknown, apart: unknown];

/**
 * Evaluates the bundle in a fresh isolate, and boots the guest with it. Evaluating only makes a function; the guest calls
 * it when it is told to start.
 */
export async function bootGuest(
  ivm: Ivm,
  fresh: FreshIsolate,
  options: {
    readonly load: Load;
    readonly code: string;
    /** `SHARED_SLOTS` numbers of 32 bits. */
    readonly memory: SharedArrayBuffer;
    /** Hears what the guest posts; of an inline entry before that goes on. */
    readonly post: (...posted: Posted) => void;
  },
): Promise<BootedGuest> {
  const { context, boot } = await fresh.open();
  const bundle = await fresh.isolate.compileScript(options.code, { filename: LAMBDA_SCRIPT });
  const lambda = await bundle.run(context, { reference: true });
  bundle.release();
  const deliver = (await boot.apply(
    undefined,
    [
      new ivm.Callback(options.post, { ignored: true }),
      new ivm.Callback((...posted: Posted) => outOfSight(() => options.post(...posted))),
      new ivm.Callback(acceptDomain),
      new ivm.ExternalCopy(options.memory).copyInto({ release: true }),
      JSON.stringify(guestSettings(options.load)),
      new ivm.ExternalCopy(new Uint8Array(randomBytes(SEED_BYTES))).copyInto({ release: true }),
      lambda.derefInto({ release: true }),
    ],
    { result: { reference: true } },
  )) as IsolatedVm.Reference;
  boot.release();
  const memory = new Int32Array(options.memory);
  // Bytes are a view into what was read from the host, and what crosses is all that lies behind a view: so they are cut out first.
  const crossing = (body: Body): string | IsolatedVm.Copy<Uint8Array> =>
    typeof body === 'string'
      ? body
      : new ivm.ExternalCopy(new Uint8Array(body)).copyInto({ release: true, transferIn: true });
  // Each body apart is an argument: a list of them would be serialised, while a text crosses as one copy of its bytes.
  const packed = (items: readonly Item[]): { readonly text: string; readonly apart: readonly unknown[] } => {
    const { text, apart } = packItems(items, memory);
    return { text, apart: apart === undefined ? NONE : apart.map(crossing) };
  };
  return {
    deliver(items) {
      memory[INLINE_AT] = 0;
      const { text, apart } = packed(items);
      return deliver.apply(undefined, [items.length, text, ...apart]);
    },
    deliverInline(items) {
      memory[INLINE_AT] = 1;
      const { text, apart } = packed(items);
      deliver.applySync(undefined, [items.length, text, ...apart]);
    },
  };
}

/** What the runner throws while the guest waits for it is no business of the guest's: it ends the process. */
function outOfSight(run: () => void): void {
  try {
    run();
  } catch (error) {
    setImmediate(() => {
      throw error;
    });
  }
}

function guestSettings(load: Load): GuestSettings {
  const { limits } = load;
  return {
    lambdaId: load.lambdaId,
    accountId: load.accountId,
    version: load.version,
    type: load.type,
    handler: load.handler,
    lambdaConfig: load.lambdaConfig,
    userConfig: load.userConfig,
    env: load.env,
    services: load.services,
    limits: {
      reply_bytes: limits.reply_bytes,
      header_bytes: limits.header_bytes,
      log_line_bytes: limits.log_line_bytes,
      log_bytes_per_s: limits.log_bytes_per_s,
      fetches: limits.fetches,
      fetch_concurrency: limits.fetch_concurrency,
      fetch_bytes: limits.fetch_bytes,
    },
  };
}
