/**
 * The one place that holds the WebHost. Modules of the web APIs ask here; nothing here is reachable from a global.
 */
import type { WebHost } from './host.ts';

let current: WebHost | undefined;
let origin = 0;
let hidden = 0;

/** Called once by `installWebApis`, before any tenant code runs. This moment is the zero of `performance.now`. */
export function setHost(host: WebHost): void {
  current = host;
  origin = host.now();
}

/** Milliseconds since `setHost`. */
export function sinceOrigin(): number {
  return hostOf().now() - origin;
}

/** Unix milliseconds at `setHost`. */
export function timeOrigin(): number {
  return origin;
}

export function hostOf(): WebHost {
  if (current === undefined) throw new Error('installWebApis was not called');
  return current;
}

/** Hands an exception that nobody can catch to the host; never throws itself. */
export function report(error: unknown): void {
  try {
    const host = hostOf();
    if (host.reportError !== undefined) host.reportError(error);
  } catch {
    // A failing sink must not turn one lost exception into two.
  }
}

/**
 * Runs `evaluate` while the lazy globals read as undefined. Libraries look whether the engine brings its own
 * TextDecoder or the like; they must find none, since it would be the very one that they are evaluated for.
 */
export function withoutGlobals<T>(evaluate: () => T): T {
  hidden++;
  try {
    return evaluate();
  } finally {
    hidden--;
  }
}

export function globalsHidden(): boolean {
  return hidden > 0;
}
