import type { Problem } from '../errors/problem.ts';
import type { Database } from './database.ts';

export interface BuildLine {
  readonly time: number;
  readonly message: string;
}

export interface BuildRecord {
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly log: readonly BuildLine[];
  readonly problems: readonly Problem[];
}

export interface BuildsRepository {
  get(lambdaId: string, version: number): Promise<BuildRecord | undefined>;
  put(lambdaId: string, version: number, build: BuildRecord): Promise<void>;
}

export function buildsRepository(db: Database): BuildsRepository {
  return {
    async get(lambdaId, version) {
      const row = await db
        .selectFrom('builds')
        .selectAll()
        .where('lambda_id', '=', lambdaId)
        .where('version', '=', version)
        .executeTakeFirst();
      return (
        row && {
          startedAt: row.started_at,
          endedAt: row.ended_at,
          log: JSON.parse(row.log) as BuildLine[],
          problems: JSON.parse(row.problems) as Problem[],
        }
      );
    },
    async put(lambdaId, version, build) {
      const values = {
        started_at: build.startedAt,
        ended_at: build.endedAt,
        log: JSON.stringify(build.log),
        problems: JSON.stringify(build.problems),
      };
      await db
        .insertInto('builds')
        .values({ lambda_id: lambdaId, version, ...values })
        .onConflict((conflict) => conflict.columns(['lambda_id', 'version']).doUpdateSet(values))
        .execute();
    },
  };
}
