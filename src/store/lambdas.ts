import type { Selectable, Updateable } from 'kysely';
import type { LambdaType } from '../protocol/messages.ts';
import type { Database } from './database.ts';
import type { LambdasTable } from './schema.ts';
import type { LambdaParameters, LambdaState, RoutesAuth } from './types.ts';

/** A lambda as it is kept. Configurations stay text: of 100,000 lambdas few are called at once. */
export interface LambdaRecord extends Omit<LambdaParameters, 'amqp'> {
  readonly id: string;
  readonly accountId: string;
  /** JSON. */
  readonly amqp: string | null;
  readonly alive: boolean;
  readonly state: LambdaState;
  readonly stateDetail: string;
  readonly activeVersion: number | null;
  readonly latestVersion: number;
  /** JSON. */
  readonly userConfig: string;
  /** JSON. */
  readonly deployParameters: string;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** What the version that serves adds. */
export interface ServingVersion {
  readonly version: number;
  readonly type: LambdaType;
  readonly entry: string;
  readonly queueName: string | null;
  /** JSON. */
  readonly lambdaConfig: string;
  readonly bundleHash: string;
}

export interface LoadedLambda {
  readonly lambda: LambdaRecord;
  readonly serving: ServingVersion | undefined;
}

export type LambdaChange = Partial<Omit<LambdaRecord, 'id' | 'accountId' | 'createdAt'>>;

export interface LambdasRepository {
  /** All, oldest first, in pages: a host with 100,000 of them reads on without stopping its event loop. */
  load(): AsyncGenerator<LoadedLambda[]>;
  get(ids: readonly string[]): Promise<LoadedLambda[]>;
  insert(lambda: LambdaRecord): Promise<void>;
  update(id: string, change: LambdaChange): Promise<void>;
  /** With its versions and builds. */
  delete(id: string): Promise<void>;
}

const PAGE = 2_000;

export function lambdasRepository(db: Database): LambdasRepository {
  const withServing = () =>
    db
      .selectFrom('lambdas')
      .leftJoin('versions', (join) =>
        join
          .onRef('versions.lambda_id', '=', 'lambdas.id')
          .onRef('versions.version', '=', 'lambdas.active_version'),
      )
      .selectAll('lambdas')
      .select([
        'versions.type as servingType',
        'versions.entry',
        'versions.queue_name',
        'versions.lambda_config',
        'versions.bundle_hash',
      ]);
  return {
    get: async (ids) => (await withServing().where('lambdas.id', 'in', ids).execute()).map(loaded),
    async *load() {
      let after: { createdAt: number; id: string } | undefined;
      for (;;) {
        const rows = await withServing()
          .$if(after !== undefined, (query) =>
            query.where((where) =>
              where(
                where.refTuple('lambdas.created_at', 'lambdas.id'),
                '>',
                where.tuple(after!.createdAt, after!.id),
              ),
            ),
          )
          .orderBy('lambdas.created_at')
          .orderBy('lambdas.id')
          .limit(PAGE)
          .execute();
        if (rows.length === 0) return;
        yield rows.map(loaded);
        const last = rows.at(-1)!;
        after = { createdAt: last.created_at, id: last.id };
        if (rows.length < PAGE) return;
      }
    },
    async insert(lambda) {
      await db
        .insertInto('lambdas')
        .values({
          id: lambda.id,
          account_id: lambda.accountId,
          name: lambda.name,
          description: lambda.description,
          type: lambda.type,
          handler: lambda.handler,
          shared: Number(lambda.shared),
          routes_auth: lambda.routesAuth,
          amqp: lambda.amqp,
          alive: Number(lambda.alive),
          state: lambda.state,
          state_detail: lambda.stateDetail,
          active_version: lambda.activeVersion,
          latest_version: lambda.latestVersion,
          user_config: lambda.userConfig,
          deploy_parameters: lambda.deployParameters,
          created_at: lambda.createdAt,
          updated_at: lambda.updatedAt,
        })
        .execute();
    },
    async update(id, change) {
      await db.updateTable('lambdas').set(columns(change)).where('id', '=', id).execute();
    },
    async delete(id) {
      await db.deleteFrom('lambdas').where('id', '=', id).execute();
    },
  };
}

type LoadedRow = Selectable<LambdasTable> & {
  readonly servingType: string | null;
  readonly entry: string | null;
  readonly queue_name: string | null;
  readonly lambda_config: string | null;
  readonly bundle_hash: string | null;
};

function loaded(row: LoadedRow): LoadedLambda {
  return {
    lambda: record(row),
    serving:
      row.active_version === null || row.bundle_hash === null
        ? undefined
        : {
            version: row.active_version,
            type: row.servingType as LambdaType,
            entry: row.entry ?? '',
            queueName: row.queue_name,
            lambdaConfig: row.lambda_config ?? 'null',
            bundleHash: row.bundle_hash,
          },
  };
}

function record(row: Selectable<LambdasTable>): LambdaRecord {
  return {
    id: row.id,
    accountId: row.account_id,
    name: row.name,
    description: row.description,
    type: row.type as LambdaType,
    handler: row.handler,
    shared: row.shared !== 0,
    routesAuth: row.routes_auth as RoutesAuth,
    amqp: row.amqp,
    alive: row.alive !== 0,
    state: row.state as LambdaState,
    stateDetail: row.state_detail,
    activeVersion: row.active_version,
    latestVersion: row.latest_version,
    userConfig: row.user_config,
    deployParameters: row.deploy_parameters,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

/** Kysely leaves out what is undefined. */
function columns(change: LambdaChange): Updateable<LambdasTable> {
  return {
    name: change.name,
    description: change.description,
    type: change.type,
    handler: change.handler,
    shared: change.shared === undefined ? undefined : Number(change.shared),
    routes_auth: change.routesAuth,
    amqp: change.amqp,
    alive: change.alive === undefined ? undefined : Number(change.alive),
    state: change.state,
    state_detail: change.stateDetail,
    active_version: change.activeVersion,
    latest_version: change.latestVersion,
    user_config: change.userConfig,
    deploy_parameters: change.deployParameters,
    updated_at: change.updatedAt,
  };
}
