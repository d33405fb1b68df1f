import { limitProblems, type PartialLimits } from './limits.ts';
import {
  OPTIONS,
  OPTION_NAMES,
  flagOf,
  variableOf,
  type OptionName,
  type OptionSpec,
  type OptionValues,
} from './options.ts';
import { parseServices, type ServiceConfig } from './services.ts';

/** The host's configuration, compiled once at start. */
export interface Config extends OptionValues {
  /** The operator's ceilings. */
  readonly limits: PartialLimits;
  /** Services that lambdas may reach through `clients`, by name. */
  readonly services: Readonly<Record<string, ServiceConfig>>;
}

export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

export interface ConfigSources {
  /** Options by name, as the command line gave them (text, not yet checked). */
  readonly flags?: Readonly<Partial<Record<OptionName, string | boolean | undefined>>> | undefined;
  /** Process environment. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** The parsed configuration file. */
  readonly file?: unknown;
}

/** Flags win over environment variables, these over the file, the file over the defaults. All problems are told at once. */
export function compileConfig({ flags = {}, env = {}, file = {} }: ConfigSources): Config {
  const problems: string[] = [];
  if (file !== null && (typeof file !== 'object' || Array.isArray(file)))
    throw new ConfigError(['the configuration file must hold a mapping at its top']);
  const tree = (file ?? {}) as Record<string, unknown>;
  const values: Record<string, unknown> = {};
  for (const name of OPTION_NAMES) {
    const option: OptionSpec = OPTIONS[name];
    const fromFile = descend(tree, option.key);
    const variable = env[variableOf(name)] === undefined ? option.otherVariable : variableOf(name);
    const own = variable === variableOf(name);
    const [value, where] =
      flags[name] !== undefined
        ? [flags[name], flagOf(name)]
        : own
          ? [env[variable], variable]
          : fromFile !== undefined || variable === undefined || !env[variable]
            ? [fromFile, option.key]
            : [env[variable], variable];
    values[name] = value === undefined ? option.default : check(option, value, where, problems);
  }
  problems.push(...unknownKeys(tree));
  const limits = (tree.limits ?? {}) as PartialLimits;
  for (const problem of limitProblems({ ...limits }, 'account')) problems.push(`limits: ${problem}`);
  const services = parseServices(tree.services, problems);
  if (problems.length > 0) throw new ConfigError(problems);
  return Object.freeze({ ...(values as unknown as OptionValues), limits, services });
}

function descend(tree: Record<string, unknown>, key: string): unknown {
  let at: unknown = tree;
  for (const part of key.split('.'))
    at = typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[part] : undefined;
  return at;
}

function check(option: OptionSpec, given: unknown, where: string, problems: string[]): unknown {
  const wrong = (wanted: string): undefined =>
    void problems.push(`${where}: ${JSON.stringify(given)} is not ${wanted}`);
  switch (option.type) {
    case 'text':
      return typeof given === 'string' && (given !== '' || option.default === '') ? given : wrong('a text');
    case 'number': {
      const number = typeof given === 'string' && given.trim() !== '' ? Number(given) : given;
      const fits =
        typeof number === 'number' &&
        (option.fraction ?? Number.isInteger(number)) &&
        number >= option.min &&
        number <= option.max;
      return fits
        ? number
        : wrong(`a ${option.fraction ? '' : 'whole '}number from ${option.min} to ${option.max}`);
    }
    case 'choice':
      return option.choices.includes(String(given)) ? given : wrong(`one of ${option.choices.join(', ')}`);
    case 'list':
      if (typeof given === 'string')
        return given
          .split(',')
          .map((item) => item.trim())
          .filter(Boolean);
      return Array.isArray(given) && given.every((item) => typeof item === 'string')
        ? given
        : wrong('a list of texts');
    case 'switch':
      return typeof given === 'boolean'
        ? given
        : given === 'true' || given === '1'
          ? true
          : given === 'false' || given === '0'
            ? false
            : wrong('true or false');
  }
}

/** A misspelt key in the file would otherwise be passed over in silence. */
function unknownKeys(tree: Record<string, unknown>): string[] {
  const known = new Set<string>(OPTION_NAMES.map((name) => OPTIONS[name].key));
  const sections = new Set([...known].filter((key) => key.includes('.')).map((key) => key.split('.')[0]!));
  const problems: string[] = [];
  for (const [key, value] of Object.entries(tree)) {
    if (key === 'limits' || key === 'services' || known.has(key)) continue;
    if (!sections.has(key) || typeof value !== 'object' || value === null)
      problems.push(`unknown key "${key}"`);
    else
      for (const inner of Object.keys(value))
        if (!known.has(`${key}.${inner}`)) problems.push(`unknown key "${key}.${inner}"`);
  }
  return problems;
}
