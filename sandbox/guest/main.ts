/**
 * The guest: what runs in every isolate before and around a lambda. This file's evaluation takes the primordials and
 * locks the globals down; `boot` is called once by the runner and gives it `deliver`, the one way in.
 */
import { DateNow, Int32, JsonParse, JsonStringify } from './primordials.ts';
import {
  FromGuest,
  INLINE_AT,
  ToGuest,
  type Body,
  type Deliver,
  type DomainToAscii,
  type GuestSettings,
  type Post,
} from '../bridge/wire.ts';
import * as tools from '../sdk/index.ts';
import * as tasks from '../sdk/tasks.ts';
import { deepFreeze } from '../sdk/core/configuration.ts';
import { bindEnvironment } from '../sdk/core/environment.ts';
import { createLambda, type Lambda } from '../sdk/core/lambda.ts';
import { show } from '../sdk/core/logger.ts';
import { failureOf } from '../sdk/core/outcome.ts';
import { createBridgeCalls } from './bridge-calls.ts';
import { createConsole } from './console.ts';
import { createCurrent } from './current.ts';
import { createInbox } from './inbox.ts';
import { createInvocations, failureText } from './invocations.ts';
import { lockDown } from './lockdown.ts';
import { createLogSink } from './log-sink.ts';
import { createOutbox } from './outbox.ts';
import { createRandom } from './random.ts';
import { createTimerQueue } from './timer-queue.ts';
import { installPlatform } from './web-platform.ts';

lockDown(globalThis);

type Modules = Readonly<Record<string, unknown>>;
type LambdaFunction = (modules: Modules) => Readonly<Record<string, unknown>>;

export function boot(
  postLater: Post,
  postNow: Post,
  domainToAscii: DomainToAscii,
  shared: ArrayBuffer,
  settingsText: string,
  seed: Uint8Array,
  evaluate: LambdaFunction,
): Deliver {
  const settings = JsonParse(settingsText) as GuestSettings;
  const { limits } = settings;
  const memory = new Int32(shared);
  const outbox = createOutbox(() => (memory[INLINE_AT] === 1 ? postNow : postLater));
  const current = createCurrent(memory);
  const log = createLogSink(outbox, limits);
  const bridge = createBridgeCalls(outbox, limits);
  const random = createRandom(seed, () => outbox.add(FromGuest.wantRandom, 0, ''));
  const report = (error: unknown): void => {
    log.write('error', `Uncaught: ${show(error)}`, undefined, invocations.requestId(current.id()));
  };
  const timers = createTimerQueue(outbox, current, report);
  const platform = installPlatform(globalThis, {
    timers,
    random,
    bridge,
    domainToAscii,
    current,
    report,
  });
  const invocations = createInvocations(outbox, platform, limits, (id) => bridge.invocationEnded(id));
  let lambda: Lambda | undefined;

  bindEnvironment({
    now: DateNow,
    writeLog: (level, message, fields, requestId) =>
      log.write(level, message, fields, requestId ?? invocations.requestId(current.id())),
    callService: ({ path, ...call }) => bridge.call({ bridge: 'service', url: path, ...call }),
  });
  Object.defineProperty(globalThis, 'console', {
    value: createConsole(
      (level, message) => log.write(level, message, undefined, invocations.requestId(current.id())),
      DateNow,
    ),
    writable: true,
    configurable: true,
    enumerable: false,
  });

  const start = async (): Promise<void> => {
    try {
      const exports = evaluate(lambdaModules(settings));
      const made = createLambda(exports, { ...settings, platform });
      await made.start();
      lambda = made;
      const { routes, queueName } = made;
      outbox.add(
        FromGuest.started,
        0,
        JsonStringify(queueName === undefined ? { routes } : { routes, queueName }),
      );
    } catch (error) {
      outbox.add(FromGuest.startFailed, 0, failureText(failureOf(error, 'start_failed')));
    }
  };
  const shutDown = async (): Promise<void> => {
    try {
      await lambda?.shutdown();
      outbox.add(FromGuest.shutDown, 0, '');
    } catch (error) {
      const { type, detail } = failureOf(error);
      outbox.add(FromGuest.shutDown, 0, `${type ?? 'Error'}: ${detail}`);
    }
  };

  const handle = (type: number, id: number, head: string, body: Body): void => {
    switch (type) {
      case ToGuest.invoke:
        current.enter(id);
        if (lambda !== undefined) invocations.begin(lambda, id, head, body);
        return;
      case ToGuest.cancel:
        current.enter(id);
        // Who is only asked to end may still call outward for that.
        if (head !== 'interrupted') bridge.invocationEnded(id);
        return invocations.cancel(id, head === 'timeout' ? 'timeout' : 'canceled');
      case ToGuest.bridgeReply:
        current.enter(bridge.ownerOf(id));
        return bridge.answered(id, head, body);
      case ToGuest.configure:
        return lambda?.configure((JsonParse(head) as { userConfig: unknown }).userConfig);
      case ToGuest.wake:
        return timers.wake();
      case ToGuest.random:
        if (typeof body !== 'string') random.mix(body);
        return;
      case ToGuest.start:
        current.enter(0);
        return void start();
      case ToGuest.shutdown:
        current.enter(0);
        return void shutDown();
      default:
        return;
    }
  };

  const each = createInbox(memory, handle, report);
  return function deliver(count, text, ...apart) {
    current.begin();
    log.begin();
    each(count, text, apart);
    current.end();
  };
}

/** What `import ... from "lambda-tools"` gives this lambda. */
function lambdaModules(settings: GuestSettings): Modules {
  return Object.freeze({
    'lambda-tools': Object.freeze({
      ...tools,
      lambdaConfig: deepFreeze(settings.lambdaConfig ?? {}),
      env: deepFreeze(settings.env),
    }),
    'lambda-tools/tasks': Object.freeze({ ...tasks }),
  });
}
