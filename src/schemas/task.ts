import { Type, type Static } from 'typebox';
import {
  AnyJson,
  closed,
  forAccount,
  JsonObject,
  nullable,
  oneOf,
  pageOf,
  paging,
  ref,
  Timestamp,
  Uuid,
} from './common.ts';

export const TASK_STATES = [
  'waiting',
  'splitting',
  'running',
  'canceling',
  'done',
  'failed',
  'canceled',
] as const;
export const TaskStateName = oneOf(TASK_STATES, {
  description:
    '`done`: every subtask has ended, whichever way; `failed`: it could not be split; `canceling`: what runs was asked to end.',
});
export type TaskStateName = Static<typeof TaskStateName>;
export const SUBTASK_STATES = ['waiting', 'running', 'done', 'failed', 'canceled'] as const;
export const SubtaskStateName = oneOf(SUBTASK_STATES);
export type SubtaskStateName = Static<typeof SubtaskStateName>;

export const TaskId = Type.Integer({
  minimum: 1,
  maximum: Number.MAX_SAFE_INTEGER,
  examples: [211106232532],
});

/** How often, and after which pauses, a subtask is executed again that failed. */
const Retry = closed({
  max_attempts: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 20,
      default: 1,
      description: 'Executions of one subtask, the first included.',
    }),
  ),
  backoff_ms: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 3_600_000,
      default: 1_000,
      description: 'Pause before the second execution; it doubles each time.',
    }),
  ),
  max_backoff_ms: Type.Optional(
    Type.Integer({ minimum: 0, maximum: 86_400_000, default: 60_000, description: 'The longest pause.' }),
  ),
});

const TaskContent = Type.Unsafe<{ readonly lambda_id: string; readonly [key: string]: unknown }>(
  Type.Object(
    { lambda_id: Uuid },
    {
      additionalProperties: true,
      description:
        'What `splitTasksContent` is given, whole: `lambda_id` names the lambda, of type `tasks`; the rest is up to it.',
    },
  ),
);

/** Body of `POST /1/tasks/lambda`. */
export const TaskCreate = closed(
  {
    description: Type.Optional(Type.String({ maxLength: 1_024 })),
    content: TaskContent,
    retry: Type.Optional(Retry),
    subtask_timeout_ms: Type.Optional(
      Type.Integer({
        minimum: 10,
        maximum: 86_400_000,
        description: "Wall time of one execution of a subtask; the lambda's `timeout_ms` where that is less.",
      }),
    ),
  },
  {
    examples: [
      {
        description: 'two parts',
        content: {
          lambda_id: '0b9f7c52-2f0c-4a3e-9d0e-6e7e3f6a7c11',
          data: [
            { count: 1, delay: 0.1 },
            { count: 2, delay: 0.1 },
          ],
        },
        retry: { max_attempts: 3 },
      },
    ],
  },
);
export type TaskCreate = Static<typeof TaskCreate>;

/** Headers of `POST /1/tasks/lambda`, beside those of every request. */
export const TaskCreateHeaders = Type.Object(
  {
    'idempotency-key': Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 255,
        pattern: '^[\\x20-\\x7e]+$',
        description:
          'Names the request, for as long as its task is kept: where it comes again with the same key, nothing new is created, and ' +
          'the reply is that of the first, with `idempotent-replayed: true`. Another request with the same key is a conflict.',
      }),
    ),
  },
  { additionalProperties: true },
);

export const TaskCreated = closed({ task_id: TaskId }, { $id: 'TaskCreated' });
export type TaskCreated = Static<typeof TaskCreated>;

/** Why a task was not split, or a subtask has no result. */
export const TaskError = closed(
  {
    error_code: Type.Integer({ examples: [43001] }),
    desc: Type.String(),
    detail: Type.String(),
    link: Type.String(),
    type: Type.Optional(Type.String({ description: 'Class of what the lambda threw.' })),
  },
  { $id: 'TaskError' },
);
export type TaskError = Static<typeof TaskError>;

const Count = Type.Integer({ minimum: 0 });
export const TaskProgress = closed(
  { done: Count, failed: Count, canceled: Count, total: nullable(Count) },
  { $id: 'TaskProgress', description: 'Subtasks; `total` is null until the task is split.' },
);
export type TaskProgress = Static<typeof TaskProgress>;

const taskFields = {
  task_id: TaskId,
  account_id: Uuid,
  lambda_id: Uuid,
  description: Type.String(),
  status: TaskStateName,
  progress: ref(TaskProgress),
  error: Type.Union([Type.Null(), ref(TaskError)]),
  retry: closed({
    max_attempts: Type.Integer(),
    backoff_ms: Type.Integer(),
    max_backoff_ms: Type.Integer(),
  }),
  subtask_timeout_ms: nullable(Type.Integer()),
  created_at: Timestamp,
  started_at: nullable(Timestamp),
  ended_at: nullable(Timestamp),
};
export const Task = closed(taskFields, { $id: 'Task' });
export type Task = Static<typeof Task>;
export const TaskDetail = closed(
  { ...taskFields, content: Type.Optional(JsonObject) },
  { $id: 'TaskDetail' },
);
export type TaskDetail = Static<typeof TaskDetail>;
export const TaskList = pageOf(ref(Task), 'TaskList');
export type TaskList = Static<typeof TaskList>;
/** Query of `GET /1/tasks/{id}`. */
export const TaskDetailQuery = closed({
  ...forAccount,
  content: Type.Optional(Type.Boolean({ default: true, description: 'Whether to show the content.' })),
});
export const TaskQuery = closed({
  ...paging,
  ...forAccount,
  status: Type.Optional(TaskStateName),
  lambda_id: Type.Optional(Uuid),
});
export type TaskQuery = Static<typeof TaskQuery>;

const SubtaskId = Type.Integer({ minimum: 1, description: 'Its place in the split, from 1.' });
export const Subtask = closed(
  {
    subtask_id: SubtaskId,
    status: SubtaskStateName,
    attempts: Type.Integer({ minimum: 0, description: 'Executions that count against the retry policy.' }),
    error: Type.Union([Type.Null(), ref(TaskError)]),
    started_at: nullable(Timestamp),
    ended_at: nullable(Timestamp),
  },
  { $id: 'Subtask' },
);
export type Subtask = Static<typeof Subtask>;
export const SubtaskList = pageOf(ref(Subtask), 'SubtaskList');
export type SubtaskList = Static<typeof SubtaskList>;
export const SubtaskQuery = closed({ ...paging, ...forAccount, status: Type.Optional(SubtaskStateName) });
export type SubtaskQuery = Static<typeof SubtaskQuery>;

/** What came of a task that has ended. */
export const TaskResult = closed(
  {
    task_id: TaskId,
    status: TaskStateName,
    progress: ref(TaskProgress),
    error: Type.Union([Type.Null(), ref(TaskError)]),
    results: Type.Array(
      closed({
        subtask_id: SubtaskId,
        status: SubtaskStateName,
        result: Type.Optional(AnyJson),
        error: Type.Optional(ref(TaskError)),
      }),
      { description: 'Of each subtask, in the order of the split: its result, or its error.' },
    ),
  },
  { $id: 'TaskResult' },
);
export type TaskResult = Static<typeof TaskResult>;
