import type { Clients } from './clients.ts';
import { ReplyRefused, UserException } from './exceptions.ts';
import { createLogger, type Logger } from './logger.ts';
import type { RequestSignal } from './platform.ts';
import { encodeJson, JSON_HEADERS, type WireReply } from './reply.ts';
import { parseJson, type AnyUserCtx } from './request.ts';
import type { InvocationScope, LambdaScope } from './scope.ts';

/** The head of a call of a task, as the host sends it. */
export interface TaskHead {
  readonly requestId: string;
  readonly accountId: string;
  readonly deadlineMs: number;
  readonly taskId: number;
  /** Its place among the task's subtasks, from 1; absent where the task is split. */
  readonly subtaskId?: number | undefined;
  /** Which try of this subtask it is, from 1. */
  readonly attempt: number;
}

/** What a task or subtask runs with. */
export interface TaskData {
  readonly taskId: number;
  /** From 1; undefined in `splitTasksContent`. */
  readonly subtaskId: number | undefined;
  /** From 1; more where the task's retry policy, or the loss of a host, made it run again. */
  readonly attempt: number;
  readonly accountId: string;
  readonly requestId: string;
  readonly clients: Clients;
  /** Aborts at the subtask's deadline, and when the task is cancelled. */
  readonly signal: RequestSignal;
  readonly userCtx: unknown;
  readonly config: { readonly userConfig: Readonly<Record<string, unknown>> };
}

/** An expected error of a task: its text is the subtask's error. It is not tried again. */
export class UserTaskLambdaException extends UserException {}

/** What the task is being made with: a subclass's own constructor may not pass it on. */
let pending: TaskData | undefined;

/** A task: how its content is split, and how one part is executed. A new instance for each of both. */
export abstract class BaseLambdaTask {
  readonly _data: TaskData;
  #logger: Logger | undefined;

  /** Tasks are made by isolambda, and in tests by hand, with what the test needs. */
  constructor(data?: Partial<TaskData>) {
    const given = data ?? pending;
    if (given === undefined) throw new TypeError('a task is made with its data');
    this._data = given as TaskData;
  }

  abstract splitTasksContent(content: Record<string, unknown>): Promise<object[]> | object[];
  abstract executeSubtask(
    subtaskContent: Record<string, unknown>,
  ): Promise<object | unknown[]> | object | unknown[];

  get taskId(): number {
    return this._data.taskId;
  }
  get subtaskId(): number | undefined {
    return this._data.subtaskId;
  }
  get accountId(): string {
    return this._data.accountId;
  }
  get clients(): Clients {
    return this._data.clients;
  }
  get signal(): RequestSignal {
    return this._data.signal;
  }
  /** The one instance of the lambda's `UserCtx`. */
  get userCtx(): AnyUserCtx {
    return this._data.userCtx as AnyUserCtx;
  }
  get config(): TaskData['config'] {
    return this._data.config;
  }
  get logger(): Logger {
    return (this.#logger ??= createLogger(this._data.requestId));
  }
}

export type TaskClass = new (data: TaskData) => BaseLambdaTask;

/** The class that a lambda of type `tasks` exports. Throws Error for anything else. */
export function taskClassOf(exports: Readonly<Record<string, unknown>>, name: string): TaskClass {
  const given = exports[name];
  const prototype: unknown = typeof given === 'function' ? given.prototype : undefined;
  if (prototype instanceof BaseLambdaTask) return given as TaskClass;
  throw new Error(
    `lambda_main exports no class "${name}" derived from BaseLambdaTask: export it, as in "export class ${name} extends BaseLambdaTask"`,
  );
}

/** Splits a task's content, or executes one subtask, in a new instance. Rejects with what the lambda throws. */
export async function runTask(
  Task: TaskClass,
  head: TaskHead,
  body: string | Uint8Array,
  scope: LambdaScope,
  invocation: InvocationScope,
): Promise<WireReply> {
  const task = createTask(Task, dataOf(head, scope, invocation));
  const content = parseJson(typeof body === 'string' ? body : '', body) as Record<string, unknown>;
  if (head.subtaskId === undefined) return splitReply(await task.splitTasksContent(content));
  return resultReply(await task.executeSubtask(content));
}

function createTask(Task: TaskClass, data: TaskData): BaseLambdaTask {
  const before = pending;
  pending = data;
  try {
    return new Task(data);
  } finally {
    pending = before;
  }
}

/** Clients and signal are made for those that ask. */
function dataOf(head: TaskHead, scope: LambdaScope, invocation: InvocationScope): TaskData {
  let clients: Clients | undefined;
  return {
    taskId: head.taskId,
    subtaskId: head.subtaskId,
    attempt: head.attempt,
    accountId: head.accountId,
    requestId: head.requestId,
    userCtx: scope.userCtx,
    config: { userConfig: (scope.userConfig() ?? {}) as Readonly<Record<string, unknown>> },
    get clients() {
      return (clients ??= scope.clientsFor(invocation.id));
    },
    get signal() {
      // One object, two names: see LambdaRequest.
      const signal: unknown = invocation.signal();
      return signal as RequestSignal;
    },
  };
}

/**
 * The parts of a task, a line of JSON each: JSON's own texts hold no line feed, so the host can cut the parts apart, count
 * and measure them before it parses any.
 */
function splitReply(value: unknown): WireReply {
  if (!Array.isArray(value))
    throw new ReplyRefused('reply_invalid', 'splitTasksContent must return a list of objects');
  let body = '';
  const { length } = value;
  for (let at = 0; at < length; at++) {
    const part: unknown = value[at];
    if (!isObject(part))
      throw new ReplyRefused(
        'reply_invalid',
        `splitTasksContent must return a list of objects: number ${at} is none`,
      );
    body += `${at === 0 ? '' : '\n'}${encodeJson(part)}`;
  }
  return { status: 200, headers: JSON_HEADERS, body };
}

function resultReply(value: unknown): WireReply {
  if (!isObject(value))
    throw new ReplyRefused(
      'reply_invalid',
      `executeSubtask must return an object or a list; this is ${value === null ? 'null' : typeof value}`,
    );
  return { status: 200, headers: JSON_HEADERS, body: encodeJson(value) };
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
