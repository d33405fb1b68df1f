import type IsolatedVm from 'isolated-vm';
import { randomBytes } from 'node:crypto';
import type { Load } from '../../src/protocol/messages.ts';
import { acceptDomain } from '../bridge/domain.ts';
import { LAMBDA_SCRIPT, type Body, type GuestSettings } from '../bridge/wire.ts';
import type { Ivm } from './addon.ts';
import { bootFunction, type GuestCode } from './guest-code.ts';
import { packItems, type Item } from './intake.ts';

/** Bytes that the guest's random generator starts from. */
const SEED_BYTES = 32;

export interface BootedGuest {
  /** The one way into the isolate, not to be called while an entry runs. Resolves when the call and the microtasks behind it have ended. */
  readonly deliver: (items: readonly Item[]) => Promise<unknown>;
}

/**
 * Makes the context, runs the guest's script in it, then the bundle: that order, so that the guest has taken its
 * primordials before any code of the tenant exists. Evaluating the bundle only makes a function; the guest calls it
 * when it is told to start.
 */
export async function bootGuest(
  runner: { readonly ivm: Ivm; readonly guest: GuestCode },
  isolate: IsolatedVm.Isolate,
  options: {
    readonly load: Load;
    readonly code: string;
    /** `SHARED_SLOTS` numbers of 32 bits. */
    readonly memory: SharedArrayBuffer;
    readonly post: (index: unknown, text: unknown, apart: unknown) => void;
  },
): Promise<BootedGuest> {
  const { ivm } = runner;
  const context = await isolate.createContext({ inspector: options.load.profile });
  const boot = await bootFunction(isolate, context, runner.guest);
  const bundle = await isolate.compileScript(options.code, { filename: LAMBDA_SCRIPT });
  const lambda = await bundle.run(context, { reference: true });
  bundle.release();
  const deliver = (await boot.apply(
    undefined,
    [
      new ivm.Callback(options.post, { ignored: true }),
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
  return {
    deliver(items) {
      const { text, apart } = packItems(items, memory);
      if (apart === undefined) return deliver.apply(undefined, [items.length, text]);
      // Each as an argument: a list of them would be serialised, while a text crosses as one copy of its bytes.
      return deliver.apply(undefined, [items.length, text, ...apart.map(crossing)]);
    },
  };
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
