import { IsolambdaError } from '../errors/error.ts';
import type { Invoke } from '../invoke/types.ts';
import type { Registry } from '../registry/types.ts';
import type { Store } from '../store/store.ts';
import type { Logger } from '../telemetry/log.ts';
import { createTask } from './creation.ts';
import { Executor } from './executor.ts';
import type { TaskMetrics } from './metrics.ts';
import { rests, Scheduler } from './scheduler.ts';
import type { SubtaskBroker, SubtaskKey, Tasks } from './types.ts';
import { Worker } from './worker.ts';

export interface TasksOptions {
  readonly store: Store;
  readonly registry: Registry;
  readonly invoke: Invoke;
  readonly metrics: TaskMetrics;
  readonly log: Logger;
  readonly now: () => number;
  /** No other host has this store. */
  readonly alone: boolean;
  /** Where subtasks go through a broker; without it hosts claim them in the store. */
  readonly broker?: SubtaskBroker | undefined;
  readonly leaseMs: number;
  readonly pollMs: number;
  readonly cancelGraceMs: number;
  /** Tasks are deleted that ended this long ago. */
  readonly retentionMs: number;
  /** Splits and subtasks in flight on this host. */
  readonly places: number;
}

const RESULTS_PAGE = 100;
const SWEEP_MS = 60_000;
const SWEPT_AT_ONCE = 100;

export function createTasks(options: TasksOptions): Tasks {
  const { store, registry, invoke, metrics, log, now, alone, broker, pollMs } = options;
  /** Messages that came while every place of this host was taken. */
  const places: (() => void)[] = [];
  const executor = new Executor({
    store,
    registry,
    invoke,
    metrics,
    log,
    now,
    cancelGraceMs: options.cancelGraceMs,
    onFree(accountId) {
      scheduler.wake(accountId);
      places.splice(0).forEach((freed) => freed());
    },
    onAgain(claim, runAt) {
      if (broker === undefined || !('subtaskId' in claim)) scheduler.wakeAt(claim.accountId, runAt);
      // A pause that this host does not live to see the end of is seen to by another: the store has it.
      else setTimeout(() => broker.offer([claim]), runAt - now()).unref();
    },
    onSplit({ accountId, lambdaId, taskId }, parts) {
      if (broker === undefined) return scheduler.wake(accountId);
      const key = { accountId, lambdaId, taskId };
      broker.offer(Array.from({ length: parts }, (_, at) => ({ ...key, subtaskId: at + 1 })));
    },
  });
  const worker = new Worker({
    store,
    executor,
    alone,
    leaseMs: options.leaseMs,
    now,
    log,
  });
  const scheduler = new Scheduler({
    store,
    registry,
    executor,
    worker: worker.id,
    places: options.places,
    claimsSubtasks: broker === undefined,
    pollMs,
    now,
    log,
  });

  let sweeper: NodeJS.Timeout | undefined;
  let stopListening = (): void => undefined;
  let stopping: Promise<void> | undefined;
  let started = false;

  /** What is said of tasks by this host is heeded here at once; other hosts see it when they next look. */
  async function heed(taskId: number): Promise<void> {
    executor.heed(new Set([taskId]), await store.taskClaims.states([taskId]));
  }

  async function sweep(): Promise<void> {
    // In small bites: a task may have thousands of subtasks.
    while (
      (await store.tasks.deleteEndedBefore(now() - options.retentionMs, SWEPT_AT_ONCE)) === SWEPT_AT_ONCE
    );
  }

  async function execute(key: SubtaskKey): Promise<void> {
    // Those of a lambda that is switched off wait in the store, and are offered again from there.
    const lambda = registry.lambda(key.lambdaId);
    if (lambda !== undefined && rests(lambda)) return;
    while (executor.running >= options.places) await new Promise<void>((freed) => places.push(freed));
    const claim = await store.taskClaims.claimSubtask(worker.id, key, now());
    if (claim !== undefined) await executor.execute(claim);
  }

  return {
    async create(request, mayCreate) {
      const createdAt = now();
      const created = await createTask({ store, registry, createdAt }, request, mayCreate);
      scheduler.wake(request.accountId);
      return created;
    },
    get: (taskId) => store.tasks.get(taskId),
    content: (taskId) => store.tasks.content(taskId),
    list: (filter) => store.tasks.list(filter),
    subtasks: (taskId, filter) => store.tasks.subtasks(taskId, filter),
    async *results(taskId) {
      for (let after = 0; ;) {
        const page = await store.tasks.results(taskId, after, RESULTS_PAGE);
        yield* page;
        const last = page.at(-1);
        if (last === undefined || page.length < RESULTS_PAGE) return;
        after = last.id;
      }
    },
    async cancel(taskId) {
      const state = await store.transaction((tx) => tx.taskClaims.cancel(taskId, now()));
      if (state === 'done' || state === 'failed')
        throw new IsolambdaError('conflict', `task ${taskId} has ended before: it is ${state}`);
      if (state === 'canceled') metrics.task('canceled');
      await heed(taskId);
      return store.tasks.get(taskId);
    },
    async delete(taskId) {
      await store.tasks.delete(taskId);
      await heed(taskId);
    },
    async start() {
      started = true;
      await worker.start();
      scheduler.start();
      broker?.start({
        execute,
        accountsWithWork: () => store.taskClaims.accountsWithWork(),
        parallelism: (accountId) => registry.limits(accountId).task_parallelism,
        unoffered: (dueBefore, limit) => store.taskClaims.unoffered(dueBefore, limit),
        unqueued: (queuedBefore, limit) => store.taskClaims.unqueued(queuedBefore, limit),
        markQueued: (keys) => store.taskClaims.markQueued(keys, now()),
      });
      // A lambda that was switched on again has tasks that wait for it.
      stopListening = registry.on('lambdaChanged', ({ lambda }) => {
        if (lambda.type === 'tasks') scheduler.wake(lambda.accountId);
      });
      sweeper = setInterval(
        () => void sweep().catch((error: unknown) => log.error({ err: error }, 'old tasks were not deleted')),
        SWEEP_MS,
      );
      sweeper.unref();
    },
    stop: (graceMs) =>
      (stopping ??= (async () => {
        if (!started) return;
        clearInterval(sweeper);
        stopListening();
        await Promise.all([scheduler.stop(), broker?.drain()]);
        await executor.stop(graceMs);
        await broker?.close();
        await worker.stop();
      })()),
  };
}
