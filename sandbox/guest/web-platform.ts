import type { Platform, LambdaSignal } from '../sdk/core/platform.ts';
import type { DomainToAscii } from '../bridge/wire.ts';
import type { BridgeCalls } from './bridge-calls.ts';
import type { Current } from './current.ts';
import { DateNow } from './primordials.ts';
import type { Random } from './random.ts';
import type { TimerQueue } from './timer-queue.ts';
import type { WebHost } from './web/host.ts';
import { installWebApis, type WebClasses } from './web/install.ts';

/** Gives the isolate its web APIs, over closures that no tenant code can reach. */
export function installPlatform(
  target: object,
  parts: {
    readonly timers: TimerQueue;
    readonly random: Random;
    readonly bridge: BridgeCalls;
    readonly domainToAscii: DomainToAscii;
    readonly current: Current;
    readonly report: (error: unknown) => void;
  },
): Platform {
  const host: WebHost = {
    now: DateNow,
    domainToASCII: parts.domainToAscii,
    randomBytes: (length) => parts.random.bytes(length),
    setTimer: (callback, delayMs, repeat) => parts.timers.set(callback, delayMs, repeat),
    clearTimer: (id) => parts.timers.clear(id),
    fetch: (request) => {
      const { signal } = request;
      return parts.bridge.call(
        {
          bridge: 'fetch',
          invocation: parts.current.id(),
          method: request.method,
          url: request.url,
          headers: request.headers,
          redirect: request.redirect,
          body: request.body,
        },
        signal === undefined
          ? undefined
          : (stop) => signal.onAbort(() => stop(new Error('the request was aborted'))),
      );
    },
    reportError: parts.report,
  };
  return platformOf(installWebApis(target, host));
}

function platformOf(web: WebClasses): Platform {
  return {
    newAbortController() {
      const { signal, abort } = web.newAbort();
      return { signal: signal as LambdaSignal, abort };
    },
    abortReason: (why) =>
      why === 'timeout'
        ? web.newDomException('The deadline of the request has passed.', 'TimeoutError')
        : web.newDomException('The caller went away.', 'AbortError'),
    isResponse: (value) => web.isResponse(value),
    readResponse: async (value) => web.responseParts(value),
    streamOf: (bytes) => new (web.Response as new (body: Uint8Array) => { body: unknown })(bytes).body,
  };
}
