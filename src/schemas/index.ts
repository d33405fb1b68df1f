/** The public shapes, from which types, checks and the OpenAPI document are made. */
import type { TSchema } from 'typebox';
import { Account, AccountCreated, AccountList, Token, TokenCreated, TokenList } from './account.ts';
import { Build, Problem, Validation, Version, VersionList } from './build.ts';
import { ErrorReply } from './common.ts';
import { Health, Readiness, ReadinessCheck, VersionView } from './host.ts';
import {
  AmqpParameters,
  DeployParameters,
  Lambda,
  LambdaCreated,
  LambdaList,
  LambdaParameters,
  LambdaSummary,
} from './lambda.ts';
import { LimitView, LimitViews, Quota, QuotaView } from './limits.ts';
import { LogList, LogRecord } from './log.ts';
import { Instance, Status } from './status.ts';
import {
  Subtask,
  SubtaskList,
  Task,
  TaskCreated,
  TaskDetail,
  TaskError,
  TaskList,
  TaskProgress,
  TaskResult,
} from './task.ts';
import { UsagePoint, UsageSums, UsageView } from './usage.ts';

export * from './account.ts';
export * from './build.ts';
export * from './common.ts';
export * from './host.ts';
export * from './lambda.ts';
export * from './limits.ts';
export * from './log.ts';
export * from './scopes.ts';
export * from './status.ts';
export * from './task.ts';
export * from './usage.ts';

/** Every schema with an `$id`: the components of the OpenAPI document. */
export const COMPONENTS: readonly TSchema[] = [
  ErrorReply,
  LambdaParameters,
  DeployParameters,
  AmqpParameters,
  LambdaCreated,
  LambdaSummary,
  Lambda,
  LambdaList,
  LimitView,
  LimitViews,
  Quota,
  QuotaView,
  Problem,
  Validation,
  Version,
  VersionList,
  Build,
  Instance,
  Status,
  LogRecord,
  LogList,
  TaskError,
  TaskProgress,
  TaskCreated,
  Task,
  TaskDetail,
  TaskList,
  Subtask,
  SubtaskList,
  TaskResult,
  AccountCreated,
  Account,
  AccountList,
  TokenCreated,
  Token,
  TokenList,
  UsageSums,
  UsagePoint,
  UsageView,
  VersionView,
  Health,
  ReadinessCheck,
  Readiness,
];
