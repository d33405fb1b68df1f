/** The attack corpus, read from fixtures/attacks: one file a case, its header says what it tries and how it must end. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ATTACKS = fileURLToPath(new URL('../../fixtures/attacks/', import.meta.url));

/** The least number of cases of each class. */
export const CLASSES = {
  heap: 15,
  buffers: 10,
  'cpu-sync': 8,
  'cpu-async': 8,
  'regex-bigint': 6,
  pending: 6,
  stack: 4,
  walks: 25,
  code: 8,
  errors: 6,
  results: 10,
  logs: 6,
  egress: 20,
  zip: 15,
  yaml: 8,
  bundler: 10,
  routes: 8,
  headers: 6,
  amqp: 11,
  accounts: 15,
  tasks: 13,
} as const satisfies Record<string, number>;
export type ClassName = keyof typeof CLASSES;

/**
 * Classes whose lambdas attack a second time, after calls that were brief: then they are entered on their runner's own thread
 * (docs/decisions/inline-entries.md), and must end as well.
 */
export const AFTER_BRIEF_CALLS: ReadonlySet<ClassName> = new Set([
  'heap',
  'buffers',
  'cpu-sync',
  'cpu-async',
  'regex-bigint',
  'pending',
  'stack',
  'errors',
  'results',
  'logs',
]);

/**
 * One way that a case may end, as its `expect:` line has it; several stand between bars:
 * `504 43002` (status, error code), `200 "blocked"` (status, JSON), `refused 400 43030 zip_traversal` (an upload), `"blocked"` (what an action gives).
 */
export interface Ending {
  readonly text: string;
  readonly status: number;
  readonly code?: number;
  readonly json?: unknown;
  /** The rule of one of the problems that an upload was refused for. */
  readonly rule?: string;
  readonly upload: boolean;
}

export interface AttackCase {
  readonly className: ClassName;
  readonly name: string;
  /** `lambda`: deployed and called. `archive`: uploaded. `config`: a lambda_config.yml. `action`: run against the API or the broker. */
  readonly kind: 'lambda' | 'archive' | 'config' | 'action';
  readonly path: string;
  readonly source: string;
  readonly tries: string;
  readonly expect: readonly Ending[];
  /** deploy_parameters on top of the class's. */
  readonly limits: Readonly<Record<string, unknown>>;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Method and path below `/proxy`, by default `POST /main`. */
  readonly call: { readonly method: string; readonly path: string };
  /** What the error's detail must hold. */
  readonly detail: RegExp | undefined;
  /** The lambda need not serve its next call: the case broke its own globals. */
  readonly breaksItself: boolean;
}

export function readCases(className: ClassName): AttackCase[] {
  const folder = join(ATTACKS, className);
  return readdirSync(folder)
    .filter((file) => file !== 'kit.ts' && file !== 'decide.ts')
    .sort()
    .map((file) => parseCase(className, join(folder, file)));
}

function parseCase(className: ClassName, path: string): AttackCase {
  const source = readFileSync(path, 'utf8');
  const header = (key: string): string | undefined =>
    new RegExp(`^(?://|#) ${key}: (.*)$`, 'm').exec(source)?.[1]?.trim();
  const must = (key: string): string => {
    const value = header(key);
    if (value === undefined) throw new Error(`${path}: no "${key}:" line`);
    return value;
  };
  const [method = 'POST', route = '/main'] = (header('call') ?? 'POST /main').split(' ');
  const detail = header('detail');
  return {
    className,
    name: basename(path, extname(path)),
    kind: extname(path) === '.yml' ? 'config' : ((header('kind') ?? 'lambda') as AttackCase['kind']),
    path,
    source,
    tries: must('tries'),
    expect: must('expect').split(' | ').map(parseEnding),
    limits: JSON.parse(header('limits') ?? '{}') as Record<string, unknown>,
    parameters: JSON.parse(header('parameters') ?? '{}') as Record<string, unknown>,
    call: { method, path: route },
    detail: detail === undefined ? undefined : new RegExp(detail),
    breaksItself: header('then') === 'any',
  };
}

function parseEnding(text: string): Ending {
  const refused = /^refused (\d{3}) (\d{5})(?: (\w+))?$/.exec(text);
  if (refused) {
    const [, status, code, rule] = refused;
    return { text, upload: true, status: Number(status), code: Number(code), ...(rule && { rule }) };
  }
  const failed = /^([45]\d\d) (\d{5})$/.exec(text);
  if (failed) return { text, upload: false, status: Number(failed[1]), code: Number(failed[2]) };
  const replied = /^(?:(\d{3}) )?(.+)$/s.exec(text);
  return {
    text,
    upload: false,
    status: Number(replied?.[1] ?? 200),
    json: JSON.parse(replied?.[2] ?? 'null') as unknown,
  };
}
