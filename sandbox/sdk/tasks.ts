/** `lambda-tools/tasks`: what a lambda of type `tasks` imports. */
import type { Clients } from './core/clients.ts';
import { UserException } from './core/exceptions.ts';
import { createLogger, type Logger } from './core/logger.ts';
import type { RequestSignal } from './core/platform.ts';

/** What a task or subtask runs with. */
export interface TaskData {
  readonly taskId: string;
  readonly subtaskId: string | undefined;
  readonly accountId: string;
  readonly requestId: string;
  readonly clients: Clients;
  readonly signal: RequestSignal;
}

/** An expected error of a task: its text is the subtask's error. */
export class UserTaskLambdaException extends UserException {}

/** A task: how its content is split, and how one part is executed. */
export abstract class BaseLambdaTask {
  readonly _data: TaskData;
  #logger: Logger | undefined;

  /** Tasks are made by isolambda, and in tests by hand. */
  constructor(data: TaskData) {
    this._data = data;
  }

  abstract splitTasksContent(content: Record<string, unknown>): Promise<object[]> | object[];
  abstract executeSubtask(
    subtaskContent: Record<string, unknown>,
  ): Promise<object | unknown[]> | object | unknown[];

  get taskId(): string {
    return this._data.taskId;
  }
  get subtaskId(): string | undefined {
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
  get logger(): Logger {
    return (this.#logger ??= createLogger(this._data.requestId));
  }
}
