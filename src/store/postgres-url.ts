import { parseIntoClientConfig } from 'pg-connection-string';
import type { ClientConfig } from 'pg';
import { maskUrl } from '../config/mask-url.ts';
import { IsolambdaError } from '../errors/error.ts';

export interface PostgresUrl {
  readonly config: ClientConfig;
  /** The URL with its passwords masked: the only form that may be logged. */
  readonly masked: string;
}

/** libpq's names for them. Anything else would be passed over in silence, and a misspelt `sslmode` is no TLS. */
const OPTIONS: ReadonlySet<string> = new Set([
  'application_name',
  'host',
  'options',
  'port',
  'sslcert',
  'sslkey',
  'sslmode',
  'sslnegotiation',
  'sslrootcert',
  'uselibpqcompat',
]);

/** Parses `postgres://user:password@host:port/database?sslmode=verify-full`. Error `configuration`, which never holds the password. */
export function parsePostgresUrl(text: string): PostgresUrl {
  const masked = maskUrl(text);
  const refuse = (what: string, cause?: unknown): never => {
    throw new IsolambdaError(
      'configuration',
      `store.url ${masked}: ${what}; write postgres://user:password@host:5432/database?sslmode=verify-full`,
      { cause },
    );
  };
  if (!/^postgres(ql)?:\/\//.test(text)) refuse('it is no URL of PostgreSQL');
  if (!URL.canParse(text)) refuse('not a URL');
  const { searchParams, pathname } = new URL(text);
  if (pathname.length < 2) refuse('it names no database');
  for (const name of searchParams.keys())
    if (!OPTIONS.has(name)) refuse(`unknown option "${name}" (there are ${[...OPTIONS].join(', ')})`);
  try {
    return { config: parseIntoClientConfig(text), masked };
  } catch (error) {
    // A certificate that can't be read, for one: its path is told, the URL is not.
    return refuse(error instanceof Error ? maskUrl(error.message) : 'it can not be read', error);
  }
}
