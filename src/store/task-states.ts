import { sql } from 'kysely';

// As literals: the indexes hold these states alone, and are used only where the statement says so.
export const WAITING = sql.lit('waiting');
export const RUNNING = sql.lit('running');
