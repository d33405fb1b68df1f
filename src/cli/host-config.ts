import { existsSync, readFileSync } from 'node:fs';
import { load, YAMLException } from 'js-yaml';
import { compileConfig, ConfigError, type Config } from '../config/config.ts';
import { LIMIT_KEYS, LIMITS, type LimitKey } from '../config/limits.ts';
import type { OptionName } from '../config/options.ts';

export const CONFIG_FILE = 'isolambda.yml';
export const CONFIG_VARIABLE = 'ISOLAMBDA_CONFIG';
/** `memory_mb` as `ISOLAMBDA_LIMIT_MEMORY_MB`. */
export const limitVariableOf = (key: LimitKey): string => `ISOLAMBDA_LIMIT_${key.toUpperCase()}`;

export interface HostConfigSources {
  /** `--config`: must exist when given. */
  readonly configPath?: string | undefined;
  readonly flags: Readonly<Partial<Record<OptionName, string | boolean | undefined>>>;
  /** Each `--limit KEY=N`. */
  readonly limits: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * The host's configuration from flags, environment and file, in this order of rank. Without `--config` or
 * ISOLAMBDA_CONFIG, `isolambda.yml` of the working folder is read where there is one.
 * Throws ConfigError with every problem at once.
 */
export function readHostConfig(sources: HostConfigSources): { config: Config; file: string | undefined } {
  const { flags, env } = sources;
  const named = sources.configPath ?? env[CONFIG_VARIABLE];
  const path = named ?? (existsSync(CONFIG_FILE) ? CONFIG_FILE : undefined);
  const tree = path === undefined ? {} : parseFile(path);
  const problems: string[] = [];
  const ceilings = { ...limitsFromEnv(env, problems), ...limitsFromFlags(sources.limits, problems) };
  const file = Object.keys(ceilings).length > 0 ? withCeilings(tree, ceilings) : tree;
  try {
    const config = compileConfig({ flags, env, file });
    if (problems.length > 0) throw new ConfigError(problems);
    return { config, file: path };
  } catch (error) {
    if (error instanceof ConfigError && problems.length > 0 && error.problems !== problems)
      throw new ConfigError([...problems, ...error.problems]);
    throw error;
  }
}

function parseFile(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError([`--config ${path}: ${error instanceof Error ? error.message : 'cannot be read'}`]);
  }
  // js-yaml refuses an empty document; a file with all its lines commented out is a fine configuration.
  if (/^(?:\s*(?:#.*)?(?:\r?\n|$))*$/.test(text)) return {};
  try {
    return load(text, { filename: path });
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const place = error.mark ? `:${error.mark.line + 1}:${error.mark.column + 1}` : '';
    throw new ConfigError([`${path}${place}: ${error.reason}`]);
  }
}

function limitsFromEnv(env: HostConfigSources['env'], problems: string[]): Record<string, number> {
  const limits: Record<string, number> = {};
  for (const key of LIMIT_KEYS) {
    const given = env[limitVariableOf(key)];
    if (given !== undefined) limits[key] = numberOf(given, limitVariableOf(key), LIMITS[key].unit, problems);
  }
  return limits;
}

function limitsFromFlags(given: readonly string[], problems: string[]): Record<string, number> {
  const limits: Record<string, number> = {};
  for (const pair of given) {
    const [key = '', value] = pair.split('=', 2);
    if (value === undefined) problems.push(`--limit ${pair}: write --limit KEY=NUMBER`);
    else limits[key] = numberOf(value, `--limit ${key}`, 'a number', problems);
  }
  return limits;
}

function numberOf(given: string, where: string, unit: string, problems: string[]): number {
  const number = given.trim() === '' ? NaN : Number(given);
  if (!Number.isFinite(number)) problems.push(`${where}: "${given}" is not a number (${unit})`);
  return Number.isFinite(number) ? number : Infinity;
}

/** Flags and variables win over the file, key by key. A file of another shape is left for compileConfig to refuse. */
function withCeilings(tree: unknown, ceilings: Record<string, number>): unknown {
  if (typeof tree !== 'object' || tree === null || Array.isArray(tree)) return tree ?? { limits: ceilings };
  const { limits } = tree as Record<string, unknown>;
  const before = typeof limits === 'object' && limits !== null ? limits : {};
  const usable = Object.fromEntries(Object.entries(ceilings).filter(([, value]) => Number.isFinite(value)));
  return { ...tree, limits: { ...before, ...usable } };
}
