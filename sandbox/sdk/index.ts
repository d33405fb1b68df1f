/** `lambda-tools`: what a lambda imports. */
import { deepFreeze, type LambdaConfig } from './core/configuration.ts';

export {
  HandlersLambdaRequest,
  LambdaRequest,
  StandaloneLambdaRequest,
  type AnyUserCtx,
} from './core/request.ts';
export { LambdaUserHandler, type Pagination, type QueryParamOptions } from './core/handler.ts';
export { LambdaResponse, sendResponse, type ResponseOptions } from './core/response.ts';
export { RequestInvalid, UserException } from './core/exceptions.ts';
export { logger, type Logger } from './core/logger.ts';
export { CustomMonitoringPoint } from './core/monitoring.ts';
export { Counter, Gauge, Histogram, Summary } from './core/metrics.ts';
export { BaseLambdaTask, UserTaskLambdaException } from './tasks.ts';
export type { CallOptions, Clients, ServiceClient, ServiceReply } from './core/clients.ts';
export type { RequestHeaders } from './core/headers.ts';
export type { QueryArgs } from './core/query.ts';
export type { RpcContext } from './core/rpc.ts';
export type { StandardSchema, Validator } from './core/schema.ts';
export type { LambdaSignal, RequestSignal } from './core/platform.ts';
export type { LambdaConfig };

/** `lambda_config.yml`. Empty outside the host; the sandbox puts the lambda's own in its place. */
export const lambdaConfig: LambdaConfig = deepFreeze({});
/** The variables of `deploy_parameters.env`. Empty outside the host. */
export const env: Readonly<Record<string, string>> = deepFreeze({});
