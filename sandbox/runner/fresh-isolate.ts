import type IsolatedVm from 'isolated-vm';
import type { Ivm } from './addon.ts';
import { bootFunction, type GuestCode } from './guest-code.ts';

/** What a fresh isolate is made of. */
export interface IsolateParts {
  readonly ivm: Ivm;
  readonly guest: GuestCode;
}

/** The context of a fresh isolate, and the guest's `boot` function in it. */
export interface OpenContext {
  readonly context: IsolatedVm.Context;
  readonly boot: IsolatedVm.Reference;
}

/**
 * An isolate before it has a lambda: in its one context the guest's script has run, so that the guest has taken its
 * primordials before any code of a tenant exists. Nothing in it says whose it will be.
 */
export class FreshIsolate {
  readonly isolate: IsolatedVm.Isolate;
  readonly memoryMb: number;
  readonly #guest: GuestCode;
  readonly #inspector: boolean;
  #onCatastrophe: ((message: string) => void) | undefined;
  #open: Promise<OpenContext> | undefined;

  /** `inspector`: it can be profiled. */
  constructor({ ivm, guest }: IsolateParts, memoryMb: number, inspector: boolean) {
    this.memoryMb = memoryMb;
    this.#guest = guest;
    this.#inspector = inspector;
    this.isolate = new ivm.Isolate({
      memoryLimit: memoryMb,
      inspector,
      onCatastrophicError: (message) => this.#onCatastrophe?.(message),
    });
  }

  /** Who hears that V8 has lost the isolate for good. */
  set onCatastrophe(listener: (message: string) => void) {
    this.#onCatastrophe = listener;
  }

  /** Makes the context and runs the guest's script in it, once. */
  open(): Promise<OpenContext> {
    this.#open ??= this.#make();
    return this.#open;
  }

  async #make(): Promise<OpenContext> {
    const context = await this.isolate.createContext({ inspector: this.#inspector });
    return { context, boot: await bootFunction(this.isolate, context, this.#guest) };
  }
}
