import type {
  Account,
  AccountCreate,
  AccountCreated,
  AccountList,
  AccountPatch,
  TokenCreate,
  TokenCreated,
  TokenList,
} from '../schemas/account.ts';
import type { Build, Validation, VersionList } from '../schemas/build.ts';
import type { Health, Readiness, VersionView } from '../schemas/host.ts';
import type { Lambda, LambdaCreated, LambdaList, LambdaPatch } from '../schemas/lambda.ts';
import type { Quota, QuotaView } from '../schemas/limits.ts';
import type { LogList, LogRecord } from '../schemas/log.ts';
import type { Status } from '../schemas/status.ts';
import type {
  SubtaskList,
  SubtaskStateName,
  Task,
  TaskCreate,
  TaskCreated,
  TaskDetail,
  TaskList,
  TaskResult,
  TaskStateName,
} from '../schemas/task.ts';
import type { UsageView } from '../schemas/usage.ts';
import { serverEvents } from './events.ts';
import { proxyCall, type ProxyCall } from './proxy.ts';
import type { LambdaReply } from './reply.ts';
import { Transport, type Call, type LambdaApiOptions, type Query } from './transport.ts';
import { uploadForm, type UploadCall } from './upload.ts';
import { pollUntilEnded, type TaskWaitOptions } from './wait-for-task.ts';
import { pollUntilRunning, type WaitOptions } from './wait.ts';

/** What every call may say besides its own arguments. */
export interface CallOptions {
  /** In whose name, for the operator. */
  readonly accountId?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
}
export interface OneLambda extends CallOptions {
  readonly lambdaId: string;
}
export interface Filters extends CallOptions {
  readonly page?: number | undefined;
  readonly pageSize?: number | undefined;
}
export interface LambdaFilters extends Filters {
  readonly name?: string | undefined;
  readonly lambdaType?: Lambda['lambda_type'] | undefined;
  readonly status?: Lambda['status'] | undefined;
  readonly shared?: boolean | undefined;
}
export interface LogFilters extends CallOptions {
  readonly pageSize?: number | undefined;
  readonly level?: LogRecord['level'] | undefined;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly requestId?: string | undefined;
  /** Lines after this sequence number. */
  readonly after?: number | undefined;
}
export interface FollowOptions extends LogFilters {
  /** Told how many lines were passed over because this reader was too slow. */
  readonly onMissed?: ((lines: number) => void) | undefined;
}
export interface TaskCreateOptions extends CallOptions {
  /** A request that is made again with it, say after a lost connection, gets the task of the first. */
  readonly idempotencyKey?: string | undefined;
}
export interface OneTask extends CallOptions {
  readonly taskId: number;
}
export interface TaskFilters extends Filters {
  readonly status?: TaskStateName | undefined;
  readonly lambdaId?: string | undefined;
}
export interface SubtaskFilters extends Filters {
  readonly status?: SubtaskStateName | undefined;
}
export interface UsageFilters extends CallOptions {
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly step?: UsageView['step'] | undefined;
  readonly lambdaId?: string | undefined;
}

/**
 * The client of a host's HTTP API; works in Node and in browsers.
 * Management methods throw LambdaApiError where the host refuses; `proxyLambda...` return the lambda's reply, whatever its status.
 *
 *     const api = new LambdaApi({ origin: 'http://127.0.0.1:8080', api: 1, token });
 *     const reply = await api.proxyLambdaPost({ lambdaId, path: 'main', body: { images: [] } });
 *     console.log(reply.statusCode, reply.json);
 */
export class LambdaApi {
  readonly #transport: Transport;

  constructor(options: LambdaApiOptions) {
    this.#transport = new Transport(options);
  }

  get origin(): string {
    return this.#transport.origin;
  }

  // --- into a lambda
  proxyLambdaGet(call: ProxyCall): Promise<LambdaReply> {
    return proxyCall(this.#transport, 'GET', call);
  }
  proxyLambdaPost(call: ProxyCall): Promise<LambdaReply> {
    return proxyCall(this.#transport, 'POST', call);
  }
  proxyLambdaPut(call: ProxyCall): Promise<LambdaReply> {
    return proxyCall(this.#transport, 'PUT', call);
  }
  proxyLambdaPatch(call: ProxyCall): Promise<LambdaReply> {
    return proxyCall(this.#transport, 'PATCH', call);
  }
  proxyLambdaDelete(call: ProxyCall): Promise<LambdaReply> {
    return proxyCall(this.#transport, 'DELETE', call);
  }
  proxyLambdaHead(call: ProxyCall): Promise<LambdaReply> {
    return proxyCall(this.#transport, 'HEAD', call);
  }
  proxyLambdaOptions(call: ProxyCall): Promise<LambdaReply> {
    return proxyCall(this.#transport, 'OPTIONS', call);
  }

  // --- lambdas
  /** Durable once it resolves; the lambda starts behind it: see `waitUntilRunning`. */
  createLambda(call: UploadCall): Promise<LambdaReply<LambdaCreated>> {
    return this.#call('POST', '/1/lambdas', call, { body: uploadForm(call) });
  }
  /** A new version, switched to when it has started. What is left out stays as it is. */
  updateLambda(call: UploadCall & { readonly lambdaId: string }): Promise<LambdaReply<LambdaCreated>> {
    return this.#call('PUT', lambdaPath(call), call, { body: uploadForm(call) });
  }
  /** What is wrong with an archive; nothing of it is kept. */
  validateLambda(call: UploadCall): Promise<LambdaReply<Validation>> {
    return this.#call('POST', '/1/lambdas/validate', call, { body: uploadForm(call) });
  }
  getLambdas(filters: LambdaFilters = {}): Promise<LambdaReply<LambdaList>> {
    const { name, lambdaType, status, shared } = filters;
    const query = { ...pageQuery(filters), name, lambda_type: lambdaType, status, shared };
    return this.#call('GET', '/1/lambdas', filters, { query });
  }
  getLambda(call: OneLambda): Promise<LambdaReply<Lambda>> {
    return this.#call('GET', lambdaPath(call), call);
  }
  patchLambda(call: OneLambda & { readonly parameters: LambdaPatch }): Promise<LambdaReply<Lambda>> {
    return this.#call('PATCH', lambdaPath(call), call, { body: call.parameters });
  }
  async deleteLambda(call: OneLambda): Promise<void> {
    await this.#call('DELETE', lambdaPath(call), call);
  }
  switchLambda(call: OneLambda & { readonly alive: boolean }): Promise<LambdaReply<Lambda>> {
    return this.#call('POST', lambdaPath(call, 'switch'), call, { body: { alive: call.alive } });
  }
  getVersions(call: OneLambda & Filters): Promise<LambdaReply<VersionList>> {
    return this.#call('GET', lambdaPath(call, 'versions'), call, { query: pageQuery(call) });
  }
  /** Serves an earlier version again, once it has started. */
  rollbackLambda(call: OneLambda & { readonly version: number }): Promise<LambdaReply<LambdaCreated>> {
    return this.#call('POST', lambdaPath(call, 'rollback'), call, { body: { version: call.version } });
  }
  getStatus(call: OneLambda): Promise<LambdaReply<Status>> {
    return this.#call('GET', lambdaPath(call, 'status'), call);
  }
  /** Build log and problems, by default of the latest version. */
  getBuild(call: OneLambda & { readonly version?: number | undefined }): Promise<LambdaReply<Build>> {
    return this.#call('GET', lambdaPath(call, 'build'), call, { query: { version: call.version } });
  }
  /** The zip itself, in `body`; by default of the version that serves. */
  getArchive(call: OneLambda & { readonly version?: number | undefined }): Promise<LambdaReply<never>> {
    return this.#call('GET', lambdaPath(call, 'archive'), call, { query: { version: call.version } });
  }
  getConfig(call: OneLambda): Promise<LambdaReply<Record<string, unknown>>> {
    return this.#call('GET', lambdaPath(call, 'config'), call);
  }
  /** Takes effect without a rebuild. */
  putConfig(
    call: OneLambda & { readonly config: Readonly<Record<string, unknown>> },
  ): Promise<LambdaReply<Record<string, unknown>>> {
    return this.#call('PUT', lambdaPath(call, 'config'), call, { body: call.config });
  }
  getLogs(call: OneLambda & LogFilters): Promise<LambdaReply<LogList>> {
    return this.#call('GET', lambdaPath(call, 'logs'), call, {
      query: { ...logQuery(call), page_size: call.pageSize },
    });
  }
  /** Lines as they are written, until `signal` aborts or the loop is left. */
  async *followLogs(call: OneLambda & FollowOptions): AsyncGenerator<LogRecord, void, undefined> {
    const stream = await this.#transport.stream({
      method: 'GET',
      path: lambdaPath(call, 'logs'),
      query: { ...logQuery(call), follow: 1 },
      accountId: call.accountId,
      signal: call.signal,
    });
    for await (const { event, data } of serverEvents(stream))
      if (event === 'message') yield JSON.parse(data) as LogRecord;
      else if (event === 'missed') call.onMissed?.((JSON.parse(data) as { lines: number }).lines);
  }
  /** The OpenAPI document that the lambda gives of itself. */
  getDocsSpec(call: OneLambda): Promise<LambdaReply<Record<string, unknown>>> {
    return this.#call('GET', lambdaPath(call, 'docs/spec'), call);
  }
  /** The lambda's metrics, as Prometheus reads them: in `text`. */
  getLambdaMetrics(call: OneLambda): Promise<LambdaReply<never>> {
    return this.#call('GET', lambdaPath(call, 'metrics'), call);
  }
  /** Polls the status until the lambda serves. Throws LambdaStateError where it can't any more, LambdaTimeoutError where it takes too long. */
  waitUntilRunning(lambdaId: string, options: WaitOptions = {}): Promise<Status> {
    const { accountId, signal } = options;
    return pollUntilRunning(
      lambdaId,
      async (timeoutMs) => (await this.getStatus({ lambdaId, accountId, signal, timeoutMs })).json,
      options,
    );
  }

  // --- tasks
  /** Once it resolves, the task goes on whatever happens to a host. */
  createTask(task: TaskCreate, options: TaskCreateOptions = {}): Promise<LambdaReply<TaskCreated>> {
    const { idempotencyKey } = options;
    const headers = idempotencyKey === undefined ? undefined : { 'idempotency-key': idempotencyKey };
    return this.#call('POST', '/1/tasks/lambda', options, { body: task, headers });
  }
  /** The newest first. */
  getTasks(filters: TaskFilters = {}): Promise<LambdaReply<TaskList>> {
    const { status, lambdaId } = filters;
    return this.#call('GET', '/1/tasks', filters, {
      query: { ...pageQuery(filters), status, lambda_id: lambdaId },
    });
  }
  getTask(call: OneTask & { readonly content?: boolean | undefined }): Promise<LambdaReply<TaskDetail>> {
    return this.#call('GET', taskPath(call), call, { query: { content: call.content } });
  }
  getSubtasks(call: OneTask & SubtaskFilters): Promise<LambdaReply<SubtaskList>> {
    const query = { ...pageQuery(call), status: call.status };
    return this.#call('GET', taskPath(call, 'subtasks'), call, { query });
  }
  /** Throws LambdaApiError with the code 28018 until the task has ended. */
  getTaskResult(call: OneTask): Promise<LambdaReply<TaskResult>> {
    return this.#call('GET', taskPath(call, 'result'), call);
  }
  cancelTask(call: OneTask): Promise<LambdaReply<Task>> {
    return this.#call('POST', taskPath(call, 'cancel'), call);
  }
  /** With its results; what runs of it is ended. */
  async deleteTask(call: OneTask): Promise<void> {
    await this.#call('DELETE', taskPath(call), call);
  }
  /** Polls the task until it has ended, whichever way. Throws LambdaTimeoutError where that takes too long. */
  waitForTask(taskId: number, options: TaskWaitOptions = {}): Promise<TaskDetail> {
    const { accountId, signal } = options;
    return pollUntilEnded(
      taskId,
      async (timeoutMs) =>
        (await this.getTask({ taskId, content: false, accountId, signal, timeoutMs })).json,
      options,
    );
  }

  // --- accounts
  createAccount(account: AccountCreate, options: CallOptions = {}): Promise<LambdaReply<AccountCreated>> {
    return this.#call('POST', '/1/accounts', options, { body: account });
  }
  getAccounts(
    filters: Filters & { readonly name?: string | undefined } = {},
  ): Promise<LambdaReply<AccountList>> {
    return this.#call('GET', '/1/accounts', filters, {
      query: { ...pageQuery(filters), name: filters.name },
    });
  }
  getAccount(accountId: string, options: CallOptions = {}): Promise<LambdaReply<Account>> {
    return this.#call('GET', accountPath(accountId), options);
  }
  patchAccount(
    accountId: string,
    patch: AccountPatch,
    options: CallOptions = {},
  ): Promise<LambdaReply<Account>> {
    return this.#call('PATCH', accountPath(accountId), options, { body: patch });
  }
  /** With its lambdas, tokens and usage. */
  async deleteAccount(accountId: string, options: CallOptions = {}): Promise<void> {
    await this.#call('DELETE', accountPath(accountId), options);
  }
  /** The token's text is in the reply, this once. */
  createToken(
    accountId: string,
    token: TokenCreate,
    options: CallOptions = {},
  ): Promise<LambdaReply<TokenCreated>> {
    return this.#call('POST', accountPath(accountId, 'tokens'), options, { body: token });
  }
  getTokens(accountId: string, filters: Filters = {}): Promise<LambdaReply<TokenList>> {
    return this.#call('GET', accountPath(accountId, 'tokens'), filters, { query: pageQuery(filters) });
  }
  /** Takes effect before it resolves. */
  async revokeToken(accountId: string, tokenId: string, options: CallOptions = {}): Promise<void> {
    const path = `${accountPath(accountId, 'tokens')}/${encodeURIComponent(tokenId)}`;
    await this.#call('DELETE', path, options);
  }
  getQuota(accountId: string, options: CallOptions = {}): Promise<LambdaReply<QuotaView>> {
    return this.#call('GET', accountPath(accountId, 'quota'), options);
  }
  putQuota(accountId: string, quota: Quota, options: CallOptions = {}): Promise<LambdaReply<QuotaView>> {
    return this.#call('PUT', accountPath(accountId, 'quota'), options, { body: quota });
  }
  getUsage(accountId: string, filters: UsageFilters = {}): Promise<LambdaReply<UsageView>> {
    const { since, until, step, lambdaId } = filters;
    return this.#call('GET', accountPath(accountId, 'usage'), filters, {
      query: { since, until, step, lambda_id: lambdaId },
    });
  }

  // --- the host
  getVersion(options: CallOptions = {}): Promise<LambdaReply<VersionView>> {
    return this.#call('GET', '/version', options);
  }
  getHealth(options: CallOptions = {}): Promise<LambdaReply<Health>> {
    return this.#call('GET', '/healthcheck', options);
  }
  /** Returned whatever it says: 200 where the host is ready, 503 where it is not. */
  getReadiness(options: CallOptions = {}): Promise<LambdaReply<Readiness>> {
    return this.#call('GET', '/readiness', options, { keepErrors: true });
  }
  /** The host's metrics, as Prometheus reads them: in `text`. */
  getMetrics(options: CallOptions = {}): Promise<LambdaReply<never>> {
    return this.#call('GET', '/metrics', options);
  }
  /** The OpenAPI document of this API. */
  getOpenApi(options: CallOptions = {}): Promise<LambdaReply<Record<string, unknown>>> {
    return this.#call('GET', '/docs/json', options);
  }

  #call<T>(
    method: string,
    path: string,
    { accountId, signal, timeoutMs }: CallOptions,
    more: Pick<Call, 'body' | 'headers' | 'query' | 'keepErrors'> = {},
  ): Promise<LambdaReply<T>> {
    return this.#transport.call<T>({ method, path, accountId, signal, timeoutMs, ...more });
  }
}

const lambdaPath = ({ lambdaId }: { readonly lambdaId: string }, below?: string): string =>
  `/1/lambdas/${encodeURIComponent(lambdaId)}${below === undefined ? '' : `/${below}`}`;

const taskPath = ({ taskId }: { readonly taskId: number }, below?: string): string =>
  `/1/tasks/${taskId}${below === undefined ? '' : `/${below}`}`;

const accountPath = (accountId: string, below?: string): string =>
  `/1/accounts/${encodeURIComponent(accountId)}${below === undefined ? '' : `/${below}`}`;

const pageQuery = ({ page, pageSize }: Filters): Query => ({ page, page_size: pageSize });

const logQuery = ({ level, since, until, requestId, after }: LogFilters): Query => ({
  level,
  since,
  until,
  request_id: requestId,
  after,
});
