/** `isolambda/client`: the HTTP client of a host. */
export {
  LambdaApi,
  type CallOptions,
  type Filters,
  type LambdaFilters,
  type LogFilters,
  type OneLambda,
  type OneTask,
  type SubtaskFilters,
  type TaskCreateOptions,
  type TaskFilters,
  type UsageFilters,
} from './lambda-api.ts';
export { LambdaApiError, LambdaConnectionError, LambdaStateError, LambdaTimeoutError } from './errors.ts';
export { LambdaReply } from './reply.ts';
export type { ProxyCall, ProxyVerb } from './proxy.ts';
export type { UploadCall } from './upload.ts';
export { TASK_STATES } from '../schemas/task.ts';
export type { TaskWaitOptions } from './wait-for-task.ts';
export type { WaitOptions } from './wait.ts';
export type { LambdaApiOptions, Query } from './transport.ts';
