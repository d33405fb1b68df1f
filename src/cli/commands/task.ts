import { Command, Option } from 'commander';
import { TASK_STATES } from '../../client/index.ts';
import { CommandError } from '../command-error.ts';
import { findLambda, withConnection, withHost, type Connection, type HostOptions } from '../connection.ts';
import { EXIT } from '../exit-codes.ts';
import { jsonObjectArgument } from '../json-argument.ts';
import { examples, terminalOf, wholeNumber } from '../options.ts';
import { progressBar, resultText, statusText, taskText } from '../task-text.ts';
import { paint, table, type Terminal } from '../terminal.ts';
import { allPages, type TaskRow } from '../views.ts';

export function taskCommand(): Command {
  const command = new Command('task').description(
    'Run tasks of tasks lambdas: work that is split, executed in parts, and survives the death of a host.',
  );
  for (const make of [
    createCommand,
    statusCommand,
    watchCommand,
    resultCommand,
    listCommand,
    cancelCommand,
    deleteCommand,
  ])
    command.addCommand(make());
  return examples(
    command,
    ['isolambda task create my-lambda -d \'{"data": [1, 2, 3]}\' --watch', 'and its result'],
    ['isolambda task list --status running'],
    ['isolambda task cancel 211106232532'],
  );
}

interface CreateOptions extends HostOptions {
  readonly data?: string;
  readonly description?: string;
  readonly attempts?: number;
  readonly backoff?: number;
  readonly subtaskTimeout?: number;
  readonly key?: string;
  readonly watch?: boolean;
}

function createCommand(): Command {
  const command = new Command('create')
    .description('Start a task.')
    .argument('<id|name>', 'which lambda, of type tasks')
    .option('-d, --data <json|@file|->', 'what splitTasksContent is given, an object (default: {})')
    .option('--description <text>', 'to tell tasks apart')
    .option(
      '--attempts <number>',
      'executions of a subtask that fails (default: 1)',
      wholeNumber(1, 'executions'),
    )
    .option('--backoff <ms>', 'pause before the second; it doubles (default: 1000)', wholeNumber(0, 'ms'))
    .option('--subtask-timeout <ms>', "wall time of a subtask (default: the lambda's)", wholeNumber(10, 'ms'))
    .option('--key <text>', 'idempotency key: with the same one, the same task is not created twice')
    .option('--watch', 'wait for its end, and print the result');
  withHost(command);
  examples(
    command,
    ['isolambda task create my-lambda -d @content.json'],
    ['isolambda task create my-lambda -d \'{"data": [1, 2]}\' --attempts 3 --watch'],
    ['isolambda task create my-lambda -d @content.json --key order-4711', 'may be repeated'],
  );
  return command.action(async (lambda: string, options: CreateOptions) => {
    const { data, description, attempts, backoff, subtaskTimeout, key } = options;
    const content = data === undefined ? {} : await jsonObjectArgument(data, '-d');
    await withConnection(options, { account: 'needed' }, async (connection) => {
      const { id } = await findLambda(connection, lambda);
      const { json } = await connection.api.createTask(
        {
          content: { ...content, lambda_id: id },
          ...(description === undefined ? {} : { description }),
          ...(subtaskTimeout === undefined ? {} : { subtask_timeout_ms: subtaskTimeout }),
          retry: {
            ...(attempts === undefined ? {} : { max_attempts: attempts }),
            ...(backoff === undefined ? {} : { backoff_ms: backoff }),
          },
        },
        { idempotencyKey: key },
      );
      const terminal = terminalOf(options);
      if (options.watch) return printEnd(terminal, connection, json.task_id, Infinity);
      terminal.answer(json, () =>
        [
          `${paint('green', '✓')} task ${paint('bold', String(json.task_id))}`,
          `  next  isolambda task watch ${json.task_id}`,
        ].join('\n'),
      );
    });
  });
}

function statusCommand(): Command {
  const command = oneTask('status', 'Show a task: its state, progress and policy.');
  examples(command, ['isolambda task status 211106232532']);
  return command.action(async (given: string, options: HostOptions) => {
    await withTask(given, options, async ({ api }, taskId) => {
      const { json } = await api.getTask({ taskId });
      terminalOf(options).answer(json, () => taskText(json));
    });
  });
}

interface WatchOptions extends HostOptions {
  readonly timeout?: number;
}

function watchCommand(): Command {
  const command = oneTask(
    'watch',
    'Wait for the end of a task, with a progress bar, and print its result.',
  ).option('--timeout <seconds>', 'how long to wait (default: until it ends)', wholeNumber(1, 'seconds'));
  command.addHelpText(
    'after',
    `\nExits with ${EXIT.lambdaError.code} where the task, or one of its subtasks, failed or was cancelled.`,
  );
  examples(command, ['isolambda task watch 211106232532']);
  return command.action(async (given: string, options: WatchOptions) => {
    const timeoutMs = options.timeout === undefined ? Infinity : options.timeout * 1_000;
    await withTask(given, options, (connection, taskId) =>
      printEnd(terminalOf(options), connection, taskId, timeoutMs),
    );
  });
}

async function printEnd(
  terminal: Terminal,
  { api }: Connection,
  taskId: number,
  timeoutMs: number,
): Promise<void> {
  const bar = terminal.progress(`task ${taskId}`);
  const show = (task: TaskRow): void =>
    bar.update(`task ${taskId} ${task.status} ${progressBar(task.progress)}`);
  await api
    .waitForTask(taskId, { ...(timeoutMs === Infinity ? {} : { timeoutMs }), onProgress: show })
    .finally(() => bar.end());
  const { json } = await api.getTaskResult({ taskId });
  terminal.answer(json, () => resultText(json));
  const { done, total } = json.progress;
  if (json.status !== 'done' || done !== total) process.exitCode = EXIT.lambdaError.code;
}

function resultCommand(): Command {
  const command = oneTask('result', 'Print the results and errors of a task that has ended.');
  examples(command, ['isolambda task result 211106232532 --json > result.json']);
  return command.action(async (given: string, options: HostOptions) => {
    await withTask(given, options, async ({ api }, taskId) => {
      const { json } = await api.getTaskResult({ taskId });
      terminalOf(options).answer(json, () => resultText(json));
    });
  });
}

interface ListOptions extends HostOptions {
  readonly status?: TaskRow['status'];
  readonly lambda?: string;
}

function listCommand(): Command {
  const command = new Command('list')
    .alias('ls')
    .description('List tasks, the newest first.')
    .addOption(new Option('--status <status>', 'in this state').choices(TASK_STATES))
    .option('--lambda <id|name>', 'of this lambda');
  withHost(command);
  examples(command, ['isolambda task list'], ['isolambda task list --status failed --json']);
  return command.action(async (options: ListOptions) => {
    await withConnection(options, { account: 'optional' }, async (connection) => {
      const lambdaId =
        options.lambda === undefined ? undefined : (await findLambda(connection, options.lambda)).id;
      const { status } = options;
      const tasks = await allPages((paging) => connection.api.getTasks({ ...paging, status, lambdaId }));
      terminalOf(options).answer({ items: tasks, total: tasks.length }, () =>
        tasks.length === 0
          ? 'no tasks'
          : table(
              ['TASK', 'STATUS', 'PROGRESS', 'CREATED', 'DESCRIPTION'],
              tasks.map((task) => [
                String(task.task_id),
                statusText(task.status),
                progressBar(task.progress),
                task.created_at,
                task.description,
              ]),
            ),
      );
    });
  });
}

function cancelCommand(): Command {
  const command = oneTask('cancel', 'Cancel a task: what runs is asked to end, what waits is not executed.');
  examples(command, ['isolambda task cancel 211106232532']);
  return command.action(async (given: string, options: HostOptions) => {
    await withTask(given, options, async ({ api }, taskId) => {
      const { json } = await api.cancelTask({ taskId });
      terminalOf(options).answer(json, () => `task ${taskId} is ${statusText(json.status)}`);
    });
  });
}

function deleteCommand(): Command {
  const command = new Command('delete')
    .alias('rm')
    .description('Delete tasks, with their results. What runs of them is ended.')
    .argument('<task...>', 'their ids');
  withHost(command);
  examples(command, ['isolambda task delete 211106232532']);
  return command.action(async (given: string[], options: HostOptions) => {
    const ids = given.map(taskIdOf);
    await withConnection(options, { account: 'optional' }, async ({ api }) => {
      for (const taskId of ids) await api.deleteTask({ taskId });
      terminalOf(options).answer({ deleted: ids }, () => ids.map((id) => `deleted ${id}`).join('\n'));
    });
  });
}

const oneTask = (name: string, about: string): Command =>
  withHost(new Command(name).description(about).argument('<task>', 'its id'));

function withTask(
  given: string,
  options: HostOptions,
  use: (connection: Connection, taskId: number) => Promise<void>,
): Promise<void> {
  const taskId = taskIdOf(given);
  return withConnection(options, { account: 'optional' }, (connection) => use(connection, taskId));
}

function taskIdOf(given: string): number {
  if (/^[1-9]\d{0,15}$/.test(given)) return Number(given);
  throw new CommandError('usage', `"${given}" is no id of a task`, {
    mend: 'isolambda task list shows yours.',
  });
}
