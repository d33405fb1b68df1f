import type { Config } from './config.ts';
import { OPTION_NAMES, OPTIONS, type OptionName } from './options.ts';

/** What a running host takes over from a new configuration. Everything else was built into its parts when it started. */
export interface Reloaded {
  /** Keys that are in force now. */
  readonly changed: readonly string[];
  /** Keys that differ and are not in force before a restart. */
  readonly needRestart: readonly string[];
}

const RELOADABLE: ReadonlySet<OptionName> = new Set<OptionName>(['logLevel']);

/** Keys as the file has them: `log.level`, `limits.memory_mb`, `services.events`. */
export function compareConfigs(before: Config, after: Config): Reloaded {
  const options = OPTION_NAMES.filter((name) => differ(before[name], after[name]));
  return {
    changed: [
      ...options.filter((name) => RELOADABLE.has(name)).map((name) => OPTIONS[name].key),
      ...differing('limits', before.limits, after.limits),
      ...differing('services', before.services, after.services),
    ],
    needRestart: [
      ...options.filter((name) => !RELOADABLE.has(name)).map((name) => OPTIONS[name].key),
      // The HTTP server bounds header blocks by it before it knows whose they are.
      ...(after.limits.header_bytes === before.limits.header_bytes
        ? []
        : ['limits.header_bytes (of the HTTP server; accounts have it)']),
    ],
  };
}

/** What is in force after the reload. */
export const withReloadable = (before: Config, { logLevel, limits, services }: Config): Config =>
  Object.freeze({ ...before, logLevel, limits, services });

function differing(section: string, before: object, after: object): string[] {
  const [old, fresh] = [new Map(Object.entries(before)), new Map(Object.entries(after))];
  return [...new Set([...old.keys(), ...fresh.keys()])]
    .filter((key) => differ(old.get(key), fresh.get(key)))
    .map((key) => `${section}.${key}`);
}

const differ = (one: unknown, other: unknown): boolean => JSON.stringify(one) !== JSON.stringify(other);
