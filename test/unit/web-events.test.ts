import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startWebIsolate } from './web-isolate.ts';

const isolate = await startWebIsolate();

test('listeners run in their order, once each, and see the event as in Node', async () => {
  await isolate.same(() => {
    const log: unknown[] = [];
    const target = new EventTarget();
    const first = (event: Event): void =>
      void log.push('first', event.type, event.eventPhase, event.target === target);
    target.addEventListener('x', first);
    target.addEventListener('x', first);
    target.addEventListener('x', {
      handleEvent: (event) => void log.push('object', event.type),
    });
    target.addEventListener('x', () => void log.push('once'), { once: true });
    target.addEventListener('x', function (this: unknown) {
      log.push(this === target);
    });
    target.addEventListener('y', first);
    const event = new Event('x');
    log.push(target.dispatchEvent(event), event.eventPhase, event.currentTarget, event.target === target);
    target.removeEventListener('x', first);
    log.push('again', target.dispatchEvent(new Event('x')), event.composedPath().length);
    return log;
  }, null);
});

test('cancelling, stopping and passive listeners act as in Node', async () => {
  await isolate.same(() => {
    const log: unknown[] = [];
    for (const [cancelable, options] of [
      [true, {}],
      [false, {}],
      [true, { passive: true }],
    ] as const) {
      const target = new EventTarget();
      target.addEventListener('x', (event) => event.preventDefault(), options);
      const event = new Event('x', { cancelable });
      log.push(target.dispatchEvent(event), event.defaultPrevented, event.returnValue);
    }
    const target = new EventTarget();
    target.addEventListener('x', (event) => {
      log.push('a');
      event.stopImmediatePropagation();
    });
    target.addEventListener('x', () => void log.push('never'));
    target.dispatchEvent(new Event('x'));
    const stopping = new Event('y', { bubbles: true, composed: true });
    stopping.stopPropagation();
    log.push(stopping.cancelBubble, stopping.bubbles, stopping.composed, stopping.isTrusted);
    return log;
  }, null);
});

test('a listener added during a dispatch waits for the next one, a removed one does not run', async () => {
  // Node runs the added one at once; the standard clones the list of listeners first.
  const order = await isolate.run(() => {
    const log: string[] = [];
    const target = new EventTarget();
    const late = (): void => void log.push('late');
    const removed = (): void => void log.push('removed');
    target.addEventListener('x', () => {
      log.push('first');
      target.addEventListener('x', late);
      target.removeEventListener('x', removed);
    });
    target.addEventListener('x', removed);
    target.dispatchEvent(new Event('x'));
    log.push('-');
    target.dispatchEvent(new Event('x'));
    return log;
  }, null);
  assert.deepEqual(order, ['first', '-', 'first', 'late']);
});

test('a signal takes a listener away, also when it is aborted already', async () => {
  await isolate.same(() => {
    const log: string[] = [];
    const target = new EventTarget();
    const controller = new AbortController();
    target.addEventListener('x', () => void log.push('with signal'), { signal: controller.signal });
    target.addEventListener('x', () => void log.push('aborted'), { signal: AbortSignal.abort() });
    target.dispatchEvent(new Event('x'));
    controller.abort();
    target.dispatchEvent(new Event('x'));
    return log;
  }, null);
});

test('bad uses of events throw what Node throws', async () => {
  await isolate.same(() => {
    const target = new EventTarget();
    const attempt = (work: () => unknown): unknown => {
      try {
        return work() === undefined ? 'fine' : 'value';
      } catch (error) {
        return (error as Error).name;
      }
    };
    return [
      attempt(() => new (Event as object as new () => object)()),
      attempt(() => target.dispatchEvent({} as Event)),
      attempt(() => (target.addEventListener as (type: string) => void)('x')),
      attempt(() => target.addEventListener('x', 1 as never)),
      attempt(() => target.addEventListener('x', () => undefined, { signal: 1 as never })),
      attempt(() => EventTarget.prototype.addEventListener.call({} as EventTarget, 'x', () => undefined)),
      attempt(() => new Event(Symbol('x') as never)),
      new CustomEvent('x', { detail: { a: 1 } }).detail,
      new CustomEvent('x').detail,
      Object.prototype.toString.call(new CustomEvent('x')),
      ['NONE', 'AT_TARGET', 'BUBBLING_PHASE'].map((key) => Reflect.get(Event, key) as unknown),
    ];
  }, null);
});

test('an event that is being dispatched cannot be dispatched again', async () => {
  const error = await isolate.run(() => {
    const target = new EventTarget();
    let seen: unknown;
    target.addEventListener('x', (event) => {
      try {
        target.dispatchEvent(event);
      } catch (thrown) {
        seen = [(thrown as DOMException).name, (thrown as DOMException).code, thrown instanceof DOMException];
      }
    });
    target.dispatchEvent(new Event('x'));
    return seen;
  }, null);
  assert.deepEqual(error, ['InvalidStateError', 11, true]);
});

test('a listener that throws is reported, and the next one runs', async () => {
  const seen = await isolate.run(() => {
    const { reportedErrors } = globalThis as object as { reportedErrors: string[] };
    reportedErrors.length = 0;
    const log: string[] = [];
    const target = new EventTarget();
    target.addEventListener('x', () => {
      throw new Error('from a listener');
    });
    target.addEventListener('x', () => void log.push('next'));
    log.push(String(target.dispatchEvent(new Event('x'))));
    return [...log, ...reportedErrors];
  }, null);
  assert.deepEqual(seen, ['next', 'true', 'from a listener']);
});

test('capturing listeners run first, as the standard says and Node does not', async () => {
  const order = await isolate.run(() => {
    const log: string[] = [];
    const target = new EventTarget();
    target.addEventListener('x', () => void log.push('bubble'));
    target.addEventListener('x', () => void log.push('capture'), true);
    target.dispatchEvent(new Event('x'));
    return log;
  }, null);
  assert.deepEqual(order, ['capture', 'bubble']);
});

test('abort has a reason, fires once, and orders handlers as in Node', async () => {
  await isolate.same(() => {
    const log: unknown[] = [];
    const controller = new AbortController();
    const { signal } = controller;
    signal.addEventListener(
      'abort',
      (event) => void log.push('listener', event.type, event.isTrusted, signal.aborted),
    );
    signal.onabort = () => void log.push('attribute');
    signal.addEventListener('abort', () => void log.push('last'));
    signal.onabort = () => void log.push('attribute again');
    log.push(signal.aborted, signal.reason === undefined);
    controller.abort();
    controller.abort('second');
    const reason = signal.reason as DOMException;
    log.push(reason.name, reason.code, reason instanceof DOMException, reason instanceof Error);
    try {
      signal.throwIfAborted();
    } catch (error) {
      log.push(error === reason);
    }
    const own = new AbortController();
    own.abort({ my: 'reason' });
    log.push(own.signal.reason, AbortSignal.abort('now').reason, (AbortSignal.abort().reason as Error).name);
    log.push(typeof signal.onabort, controller.signal === signal);
    return log;
  }, null);
});

test('any() follows its sources, through other any() signals, in the order of the standard', async () => {
  // Node tells the nested one before the one it follows.
  const log = await isolate.run(() => {
    const log: unknown[] = [];
    const a = new AbortController();
    const b = new AbortController();
    const any = AbortSignal.any([a.signal, b.signal]);
    const nested = AbortSignal.any([any, new AbortController().signal]);
    nested.addEventListener(
      'abort',
      () => void log.push('nested', any.aborted, nested.aborted, a.signal.aborted),
    );
    any.addEventListener('abort', () => void log.push('any', any.aborted, nested.aborted));
    b.signal.addEventListener('abort', () => void log.push('source', any.aborted, nested.aborted));
    b.abort('b');
    a.abort('a');
    log.push(any.reason, nested.reason, AbortSignal.any([]).aborted);
    log.push(AbortSignal.any([AbortSignal.abort(1), AbortSignal.abort(2)]).reason);
    return log;
  }, null);
  const told = ['source', true, true, 'any', true, true, 'nested', true, true, false];
  assert.deepEqual(log, [...told, 'b', 'b', false, 1]);
});

test('timeout() aborts with a TimeoutError', async () => {
  await isolate.same(async () => {
    const signal = AbortSignal.timeout(5);
    const before = signal.aborted;
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    const reason = signal.reason as DOMException;
    return [before, signal.aborted, reason.name, reason.code, reason instanceof DOMException];
  }, null);
});

test('illegal uses of abort throw TypeErrors', async () => {
  const names = await isolate.run(() => {
    const attempt = (work: () => unknown): string => {
      try {
        work();
        return 'fine';
      } catch (error) {
        return (error as Error).name;
      }
    };
    return [
      attempt(() => new AbortSignal()),
      attempt(() => AbortSignal.timeout(-1)),
      attempt(() => AbortSignal.timeout(Number.NaN)),
      attempt(() => AbortSignal.any([{}] as never)),
      attempt(() => Reflect.get(AbortSignal.prototype, 'aborted', {})),
    ];
  }, null);
  assert.deepEqual(names, Array<string>(5).fill('TypeError'));
});

test('timers run in order, with their arguments, and can be cleared', async () => {
  await isolate.same(async () => {
    const log: unknown[] = [];
    await new Promise<void>((resolve) => {
      setTimeout((a: number, b: number) => log.push('timeout', a, b), 1, 1, 2);
      const cleared = setTimeout(() => log.push('never'), 1);
      clearTimeout(cleared);
      let count = 0;
      const interval = setInterval(() => {
        log.push('interval');
        if (++count === 2) {
          clearInterval(interval);
          resolve();
        }
      }, 5);
      queueMicrotask(() => log.push('microtask'));
      void Promise.resolve().then(() => log.push('promise'));
      log.push('sync');
      clearTimeout(undefined);
    });
    return log;
  }, null);
});

test('a microtask that throws is reported, bad callbacks are TypeErrors', async () => {
  const seen = await isolate.run(async () => {
    const { reportedErrors } = globalThis as object as { reportedErrors: string[] };
    reportedErrors.length = 0;
    queueMicrotask(() => {
      throw new Error('from a microtask');
    });
    await new Promise((resolve) => setTimeout(resolve, 1));
    for (const start of [setTimeout, setInterval, queueMicrotask] as ((callback: unknown) => void)[]) {
      try {
        start('code');
      } catch (error) {
        reportedErrors.push((error as Error).name);
      }
    }
    return [...reportedErrors];
  }, null);
  assert.deepEqual(seen, ['from a microtask', 'TypeError', 'TypeError', 'TypeError']);
});
