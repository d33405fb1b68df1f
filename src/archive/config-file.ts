/**
 * `lambda_config.yml` to what JSON can hold.
 *
 * YAML 1.2, core schema, one document, a mapping at the top. Decided here:
 * - dates stay the texts that they were written as (`2026-01-31` is "2026-01-31"), and so do `yes` and `on`;
 * - merge keys (`<<`) work, within bounds; custom tags, `!!binary`, `!!set` and the like are errors;
 * - what JSON would change in silence is an error: `.nan`, `.inf`, whole numbers beyond 2^53;
 * - duplicate keys are errors, and so is the key `__proto__`.
 */
import {
  CORE_SCHEMA,
  EVENT_ID,
  SCALAR_STYLE,
  YAMLException,
  constructFromEvents,
  getScalarValue,
  mergeTag,
  parseEvents,
  type Event,
} from 'js-yaml';
import type { ArchiveFiles } from './intake.ts';
import { error, quote } from './problem.ts';
import type { Problem } from '../errors/problem.ts';

export const CONFIG_FILE = 'lambda_config.yml';
export const MAX_CONFIG_BYTES = 256 * 1024;
export const MAX_CONFIG_DEPTH = 32;
export const MAX_CONFIG_ALIASES = 100;
/** Keys that `<<` may copy, in all; each mapping that is merged counts as one more. */
export const MAX_MERGED_KEYS = 1_000;
/** As JSON, after aliases and merges were written out: nine lines of YAML can say a billion laughs. */
export const MAX_CONFIG_JSON_BYTES = 1024 * 1024;

const SCHEMA = CORE_SCHEMA.withTags(mergeTag);

export interface ConfigResult {
  /** null where there is no file, or an empty one. */
  readonly config: unknown;
  readonly problems: readonly Problem[];
}

export function readConfigFile(files: ArchiveFiles): ConfigResult {
  const misnamed = [...files.keys()].find((path) => /^lambda_config\.(yaml|json)$/i.test(path));
  const problems: Problem[] = misnamed
    ? [
        error(
          'config_name',
          `the configuration file is called ${quote(misnamed)}`,
          `Rename it to ${CONFIG_FILE}.`,
          {
            file: misnamed,
          },
        ),
      ]
    : [];
  const bytes = files.get(CONFIG_FILE);
  if (!bytes) return { config: null, problems };
  const parsed = parseConfig(bytes);
  return { config: parsed.config, problems: [...problems, ...parsed.problems] };
}

/** Never throws. */
export function parseConfig(bytes: Uint8Array): ConfigResult {
  const refuse = (rule: string, message: string, mend: string): ConfigResult => ({
    config: null,
    problems: [error(rule, message, mend, { file: CONFIG_FILE })],
  });
  if (bytes.length > MAX_CONFIG_BYTES)
    return refuse(
      'config_too_large',
      `the file has ${bytes.length} bytes; allowed are ${MAX_CONFIG_BYTES}`,
      'Put data into a module or a JSON file of the archive, and keep settings here.',
    );
  let source: string;
  try {
    source = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return refuse('config_encoding', 'the file is not UTF-8', 'Save it as UTF-8.');
  }
  try {
    const events = parseEvents(source, { maxDepth: MAX_CONFIG_DEPTH });
    const wrongNumbers = findLossyNumbers(source, events);
    if (wrongNumbers.length > 0) return { config: null, problems: wrongNumbers };
    const documents = constructFromEvents(events, {
      source,
      schema: SCHEMA,
      maxAliases: MAX_CONFIG_ALIASES,
      maxTotalMergeKeys: MAX_MERGED_KEYS,
    });
    return judge(documents, refuse);
  } catch (thrown) {
    if (!(thrown instanceof YAMLException))
      return refuse('config_syntax', `the file can't be read: ${String(thrown)}`, 'Check its YAML.');
    return { config: null, problems: [fromException(thrown)] };
  }
}

function judge(
  documents: unknown[],
  refuse: (rule: string, message: string, mend: string) => ConfigResult,
): ConfigResult {
  const [config = null, second] = documents;
  if (second !== undefined || documents.length > 1)
    return refuse(
      'config_documents',
      `the file holds ${documents.length} documents`,
      'Keep one, without ---.',
    );
  if (config === null) return { config: null, problems: [] };
  if (typeof config !== 'object' || Array.isArray(config))
    return refuse(
      'config_not_mapping',
      `the top of the file is ${Array.isArray(config) ? 'a list' : `a ${typeof config}`}`,
      'Write keys and values: name: "My Lambda".',
    );
  const wrong = checkTree(config);
  if (wrong) return refuse(wrong.rule, wrong.message, wrong.mend);
  // Through JSON, so that aliases become copies and nothing but plain data goes on.
  return { config: JSON.parse(JSON.stringify(config)) as unknown, problems: [] };
}

/** Finding a line costs a walk through the file, so only the first few are told. */
const MAX_NUMBERS_TOLD = 20;

/** Plain scalars whose number JSON can't hold, or would round. */
function findLossyNumbers(source: string, events: readonly Event[]): Problem[] {
  const problems: Problem[] = [];
  for (const event of events) {
    if (problems.length >= MAX_NUMBERS_TOLD) break;
    if (event.type !== EVENT_ID.SCALAR || event.style !== SCALAR_STYLE.PLAIN) continue;
    const text = getScalarValue(source, event);
    const looksLikeNumber =
      /^[-+]?(\.inf|\.Inf|\.INF|[0-9]+|0x[0-9a-fA-F]+|0o[0-7]+)$|^\.(nan|NaN|NAN)$/.test(text);
    if (!looksLikeNumber || event.tagStart !== -1) continue;
    if (Number.isSafeInteger(Number(text.replace(/^[-+]/, '')))) continue;
    problems.push(
      error(
        'config_number',
        `${quote(text)} is a number that JSON can't hold exactly`,
        `Write it as a text: "${text}".`,
        {
          file: CONFIG_FILE,
          ...placeOf(source, event.valueStart),
        },
      ),
    );
  }
  return problems;
}

function placeOf(source: string, position: number): { line: number; column: number } {
  const before = source.slice(0, position).split(/\r\n|\r|\n/);
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

function fromException(thrown: YAMLException): Problem {
  const place = thrown.mark
    ? { file: CONFIG_FILE, line: thrown.mark.line + 1, column: thrown.mark.column + 1 }
    : { file: CONFIG_FILE };
  const { reason } = thrown;
  if (/duplicate/i.test(reason)) return error('config_duplicate_key', reason, 'Keep one of them.', place);
  if (/tag/i.test(reason))
    return error(
      'config_tag',
      reason,
      'Use texts, numbers, booleans, lists and mappings; no tags of your own.',
      place,
    );
  if (/alias|merge/i.test(reason)) return error('config_alias', reason, 'Write the values out.', place);
  if (/depth|nest/i.test(reason))
    return error('config_too_deep', reason, `Nest no deeper than ${MAX_CONFIG_DEPTH} levels.`, place);
  return error('config_syntax', reason, 'Mend the YAML at this place.', place);
}

interface Wrong {
  readonly rule: string;
  readonly message: string;
  readonly mend: string;
}

/**
 * Measures what the tree would be as JSON before anything writes it out: shared parts, which aliases make, are
 * measured once and counted each time they stand in the tree.
 */
function checkTree(config: object): Wrong | undefined {
  const known = new Map<object, { size: number; height: number }>();
  const open = new Set<object>();
  let wrong: Wrong | undefined;
  const NOTHING = { size: 0, height: 0 };
  const measure = (value: unknown, path: string): { size: number; height: number } => {
    if (wrong) return NOTHING;
    if (typeof value === 'string') return { size: value.length + 2, height: 0 };
    if (value === null || typeof value === 'number' || typeof value === 'boolean') {
      if (typeof value === 'number' && !Number.isFinite(value))
        wrong = {
          rule: 'config_number',
          message: `${path} is no finite number`,
          mend: 'Write it as a text.',
        };
      return { size: 8, height: 0 };
    }
    if (typeof value !== 'object') {
      wrong = {
        rule: 'config_not_json',
        message: `${path} is not JSON data`,
        mend: 'Use plain YAML values.',
      };
      return NOTHING;
    }
    const before = known.get(value);
    if (before) return before;
    if (open.has(value)) {
      wrong = { rule: 'config_alias', message: `${path} holds itself`, mend: 'Write the values out.' };
      return NOTHING;
    }
    open.add(value);
    const sum = { size: 2, height: 1 };
    for (const [key, item] of Object.entries(value)) {
      if (key === '__proto__')
        wrong = { rule: 'config_key', message: `${path} has the key "__proto__"`, mend: 'Rename the key.' };
      const inner = measure(item, `${path}.${key}`.slice(-200));
      sum.size += (Array.isArray(value) ? 0 : key.length + 3) + 1 + inner.size;
      sum.height = Math.max(sum.height, 1 + inner.height);
      if (sum.size > MAX_CONFIG_JSON_BYTES)
        wrong ??= {
          rule: 'config_too_large',
          message: `with its aliases written out, the file is larger than ${MAX_CONFIG_JSON_BYTES} bytes`,
          mend: 'Use fewer aliases.',
        };
      if (sum.height > MAX_CONFIG_DEPTH)
        wrong ??= {
          rule: 'config_too_deep',
          message: `with its aliases written out, ${path} is nested deeper than ${MAX_CONFIG_DEPTH} levels`,
          mend: 'Use fewer levels.',
        };
      if (wrong) return NOTHING;
    }
    open.delete(value);
    known.set(value, sum);
    return sum;
  };
  measure(config, 'the file');
  return wrong;
}
