/** Tasks: work of a lambda of type `tasks`, split into subtasks, executed, aggregated. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { Readable } from 'node:stream';
import { Type } from 'typebox';
import { IsolambdaError } from '../errors/error.ts';
import {
  closed,
  ref,
  SubtaskList,
  SubtaskQuery,
  Task,
  TaskCreate,
  TaskCreated,
  TaskCreateHeaders,
  TaskDetail,
  TaskDetailQuery,
  TaskList,
  TaskQuery,
  TaskResult,
} from '../schemas/index.ts';
import { jsonProblem } from '../schemas/check.ts';
import type { TaskPolicy, TaskRecord } from '../tasks/types.ts';
import { formatTraceparent, parseTraceparent } from '../telemetry/trace-context.ts';
import { actingAccount, requireAccount } from './asker.ts';
import type { ManagementApiOptions } from './options.ts';
import { pageRequest, pageView } from './pages.ts';
import { ForAccount, NoContent, replies } from './route-schema.ts';
import { resultText, subtaskView, taskView } from './task-views.ts';

const TAGS = ['tasks'];
const RUNS = 'invoke';
/** Who runs tasks may look at them, as who calls a lambda sees its reply. */
const LOOKS = ['read', 'invoke'] as const;
const TaskPath = closed({ task_id: Type.String({ maxLength: 64, description: 'Id of the task.' }) });
const ENDED: ReadonlySet<string> = new Set(['done', 'failed', 'canceled']);
/** The rest of the request beside the content, and the spaces in it. */
const ENVELOPE_BYTES = 16 * 1024;
const MAX_CONTENT_DEPTH = 64;

const MAX_BODY_BYTES = 256 * 1024 * 1024;

/** A body is parsed on the host's own thread: what is too large is refused before it is read. */
function checkLength({ headers }: FastifyRequest, contentBytes: number): void {
  if (headers['content-length'] === undefined)
    throw new IsolambdaError('bad_request', 'body: send it with its Content-Length');
  const bytes = Number(headers['content-length']);
  if (bytes > contentBytes + ENVELOPE_BYTES)
    throw new IsolambdaError(
      'request_too_large',
      `the body has ${bytes} bytes; its content may have ${contentBytes} (task_content_bytes)`,
    );
}

export const taskRoutes: FastifyPluginAsyncTypebox<ManagementApiOptions> = async (
  app,
  { registry, tasks },
) => {
  /** The task of the path, where the asker's account has it. */
  async function ownTask(request: FastifyRequest): Promise<TaskRecord> {
    const { task_id: given } = request.params as { task_id: string };
    const accountId = actingAccount(request);
    const task = /^[1-9]\d{0,15}$/.test(given) ? await tasks.get(Number(given)) : undefined;
    if (task === undefined || (accountId !== undefined && task.accountId !== accountId))
      throw new IsolambdaError('task_not_found', `no task ${given}`);
    return task;
  }

  app.post(
    '/1/tasks/lambda',
    {
      config: { access: RUNS },
      // In force is the account's own limit, by the length that the request declares.
      bodyLimit: MAX_BODY_BYTES,
      preParsing: (request, _reply, payload, done) => {
        checkLength(request, registry.limits(requireAccount(request, registry)).task_content_bytes);
        done(null, payload);
      },
      schema: {
        operationId: 'createTask',
        summary: 'Start a task of a tasks lambda',
        description:
          'The lambda splits the content, and executes each part. Once this is answered the task goes on, whatever ' +
          'happens to a host. A subtask may be executed more than once, where a host dies; its result is stored once.',
        tags: TAGS,
        querystring: ForAccount,
        headers: TaskCreateHeaders,
        body: TaskCreate,
        response: replies({ 202: ref(TaskCreated) }, [
          'bad_request',
          'lambda_not_found',
          'account_not_found',
          'disabled',
          'start_failed',
          'quota_exceeded',
          'request_too_large',
          'conflict',
        ]),
      },
    },
    async (request, reply) => {
      const accountId = requireAccount(request, registry);
      const {
        content,
        description = '',
        retry = {},
        subtask_timeout_ms: subtaskTimeoutMs = null,
      } = request.body;
      const problem = jsonProblem(content, { maxDepth: MAX_CONTENT_DEPTH });
      if (problem !== undefined) throw new IsolambdaError('bad_request', `content ${problem}`);
      const policy: TaskPolicy = {
        maxAttempts: retry.max_attempts ?? 1,
        backoffMs: retry.backoff_ms ?? 1_000,
        maxBackoffMs: retry.max_backoff_ms ?? 60_000,
        subtaskTimeoutMs,
      };
      const trace = parseTraceparent(request.headers.traceparent);
      const { taskId, replayed } = await tasks.create(
        {
          accountId,
          lambdaId: content.lambda_id.toLowerCase(),
          description,
          content: JSON.stringify(content),
          policy,
          idempotencyKey: request.headers['idempotency-key'],
          traceparent: trace && formatTraceparent(trace),
        },
        () => checkTasksLambda(accountId, content.lambda_id),
      );
      if (replayed) reply.header('idempotent-replayed', 'true');
      return reply.code(202).header('location', `/1/tasks/${taskId}`).send({ task_id: taskId });
    },
  );

  /** A shared lambda runs for others, but not at its owner's expense for hours: tasks are its owner's alone. */
  function checkTasksLambda(accountId: string, given: string): void {
    const lambda = registry.lambda(given.toLowerCase());
    if (lambda === undefined || lambda.accountId !== accountId)
      throw new IsolambdaError('lambda_not_found', `no lambda ${given}`);
    if (lambda.type !== 'tasks')
      throw new IsolambdaError(
        'bad_request',
        `lambda ${given} is of type ${lambda.type}: only lambdas of type tasks run tasks`,
      );
    if (!lambda.alive) throw new IsolambdaError('disabled', `lambda ${given} is switched off`);
    if (lambda.active === undefined && lambda.state === 'failed')
      throw new IsolambdaError('start_failed', lambda.stateDetail);
  }

  app.get(
    '/1/tasks',
    {
      config: { access: LOOKS },
      schema: {
        operationId: 'getTasks',
        summary: 'List tasks, the newest first',
        tags: TAGS,
        querystring: TaskQuery,
        response: replies({ 200: ref(TaskList) }, ['bad_request']),
      },
    },
    async (request) => {
      const { status: state, lambda_id: lambdaId, ...query } = request.query;
      const accountId = actingAccount(request);
      const filter = { ...pageRequest(query), accountId, state, lambdaId: lambdaId?.toLowerCase() };
      return pageView(await tasks.list(filter), taskView);
    },
  );

  app.get(
    '/1/tasks/:task_id',
    {
      config: { access: LOOKS },
      schema: {
        operationId: 'getTask',
        summary: 'State and progress of a task, and its content',
        tags: TAGS,
        params: TaskPath,
        querystring: TaskDetailQuery,
        response: replies({ 200: ref(TaskDetail) }, ['task_not_found']),
      },
    },
    async (request) => {
      const task = await ownTask(request);
      if (request.query.content === false) return taskView(task);
      const content = (await tasks.content(task.id)) ?? '{}';
      return { ...taskView(task), content: JSON.parse(content) as Record<string, unknown> };
    },
  );

  app.get(
    '/1/tasks/:task_id/subtasks',
    {
      config: { access: LOOKS },
      schema: {
        operationId: 'getSubtasks',
        summary: 'Subtasks of a task, in the order of the split',
        tags: TAGS,
        params: TaskPath,
        querystring: SubtaskQuery,
        response: replies({ 200: ref(SubtaskList) }, ['bad_request', 'task_not_found']),
      },
    },
    async (request) => {
      const { id } = await ownTask(request);
      const { status: state, ...query } = request.query;
      return pageView(await tasks.subtasks(id, { ...pageRequest(query), state }), subtaskView);
    },
  );

  app.get(
    '/1/tasks/:task_id/result',
    {
      exposeHeadRoute: false,
      config: { access: LOOKS },
      schema: {
        operationId: 'getTaskResult',
        summary: 'Results and errors of all subtasks, once the task has ended',
        tags: TAGS,
        params: TaskPath,
        querystring: ForAccount,
        response: replies({ 200: ref(TaskResult) }, ['task_not_found', 'task_without_result']),
      },
    },
    async (request, reply) => {
      const task = await ownTask(request);
      if (!ENDED.has(task.state))
        throw new IsolambdaError('task_without_result', `task ${task.id} is ${task.state}`);
      reply.type('application/json; charset=utf-8');
      return reply.send(Readable.from(resultText(task, tasks.results(task.id))) as never);
    },
  );

  app.post(
    '/1/tasks/:task_id/cancel',
    {
      config: { access: RUNS },
      schema: {
        operationId: 'cancelTask',
        summary: 'Cancel a task',
        description:
          'Subtasks that wait are cancelled. Those that run are asked to end, by `this.signal`, and ended where they do ' +
          'not within the grace time; what they return until then counts.',
        tags: TAGS,
        params: TaskPath,
        querystring: ForAccount,
        response: replies({ 202: ref(Task) }, ['task_not_found', 'conflict']),
      },
    },
    async (request, reply) => {
      const task = await ownTask(request);
      return reply.code(202).send(taskView((await tasks.cancel(task.id)) ?? task));
    },
  );

  app.delete(
    '/1/tasks/:task_id',
    {
      config: { access: RUNS },
      schema: {
        operationId: 'deleteTask',
        summary: 'Delete a task, with its results; what runs of it is ended',
        tags: TAGS,
        params: TaskPath,
        querystring: ForAccount,
        response: replies({ 204: NoContent }, ['task_not_found']),
      },
    },
    async (request, reply) => {
      await tasks.delete((await ownTask(request)).id);
      return reply.code(204).send(null);
    },
  );
};
