/**
 * `lambda_config.yml`, frozen; an empty object where the lambda has none. Its values are as untyped as what `JSON.parse`
 * returns, for the same reason: only the file knows, and `lambdaConfig["users"][0]["name"]` must be easy to write.
 */
export interface LambdaConfig {
  readonly [key: string]: ReturnType<typeof JSON.parse>;
}

/** Freezes a tree of plain values in place. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const item of Object.values(value)) deepFreeze(item);
  }
  return value;
}

const SECRET_NAME =
  /pass(word|wd|phrase)?$|^pw$|secret|token|credential|authorization|cookie|private|api_?-?key|access_?-?key|^key$/i;
export const MASK = '[masked]';

/** A copy for showing: values whose names sound like secrets are masked, and passwords in URLs too. */
export function maskSecrets(value: unknown, name = ''): unknown {
  if (value !== null && value !== '' && SECRET_NAME.test(name)) return MASK;
  if (typeof value === 'string') return value.replace(/(\w+:\/\/[^\s/:@]*:)[^\s/@]+@/g, `$1${MASK}@`);
  if (Array.isArray(value)) return value.map((item) => maskSecrets(item));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, maskSecrets(item, key)]));
}
