/**
 * Services that the operator lets lambdas reach through `request.clients`. A service is a manifest, not code:
 * its address, which methods and paths may be called, and how long, how much, with which credentials.
 */

/** One named method of a client: `saveEvents` to `POST /events`. */
export interface ServiceMethod {
  readonly method: string;
  /** May hold parameters: `/events/{event_id}`. */
  readonly path: string;
}

export interface ServiceManifest {
  readonly methods: Readonly<Record<string, ServiceMethod>>;
  /** Methods and path prefixes that the generic verbs may call besides: `GET /`; none by default. */
  readonly allow: readonly string[];
}

export interface ServiceConfig {
  readonly enabled: boolean;
  /** Origin, with an optional path prefix. */
  readonly address: string;
  /** Headers that the host adds and the guest never sees. */
  readonly credentials: Readonly<Record<string, string>>;
  readonly manifest: ServiceManifest;
  readonly timeoutMs: number;
  readonly replyBytes: number;
  /** Accounts that may use it; empty means all. */
  readonly accounts: readonly string[];
}

type Tree = Record<string, unknown>;
const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isTextMap = (value: unknown): value is Record<string, string> =>
  isTree(value) && Object.values(value).every((item) => typeof item === 'string');
const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((item) => typeof item === 'string');

/** Checks `services:` of the configuration file; adds a sentence to `problems` for each thing wrong. */
export function parseServices(given: unknown, problems: string[]): Record<string, ServiceConfig> {
  const services: Record<string, ServiceConfig> = {};
  if (given === undefined || given === null) return services;
  if (!isTree(given)) {
    problems.push('services: must be a mapping of names to services');
    return services;
  }
  for (const [name, service] of Object.entries(given)) {
    const wrong = (what: string): void => void problems.push(`services.${name}: ${what}`);
    if (!/^[a-zA-Z][a-zA-Z0-9_]{0,62}$/.test(name))
      wrong('a name is letters, digits and underscores, 63 at most');
    if (!isTree(service)) {
      wrong('must be a mapping');
      continue;
    }
    const {
      enabled = true,
      address,
      credentials = {},
      manifest = {},
      timeout_ms = 10_000,
      reply_bytes = 8_388_608,
      accounts = [],
      ...rest
    } = service;
    for (const key of Object.keys(rest)) wrong(`unknown key "${key}"`);
    if (typeof enabled !== 'boolean') wrong('enabled must be true or false');
    if (typeof address !== 'string' || !URL.canParse(address) || !/^https?:$/.test(new URL(address).protocol))
      wrong('address must be an http or https URL');
    if (!isTextMap(credentials)) wrong('credentials must map header names to texts');
    if (!isTexts(accounts)) wrong('accounts must be a list of account ids');
    if (typeof timeout_ms !== 'number' || timeout_ms <= 0) wrong('timeout_ms must be a number above 0');
    if (typeof reply_bytes !== 'number' || reply_bytes <= 0) wrong('reply_bytes must be a number above 0');
    services[name] = {
      enabled: enabled === true,
      address: String(address),
      credentials: isTextMap(credentials) ? credentials : {},
      manifest: parseManifest(manifest, wrong),
      timeoutMs: Number(timeout_ms),
      replyBytes: Number(reply_bytes),
      accounts: isTexts(accounts) ? accounts : [],
    };
  }
  return services;
}

const VERBS = /^(GET|HEAD|POST|PUT|PATCH|DELETE)$/;

function parseManifest(given: unknown, wrong: (what: string) => void): ServiceManifest {
  const methods: Record<string, ServiceMethod> = {};
  if (!isTree(given)) {
    wrong('manifest must be a mapping');
    return { methods, allow: [] };
  }
  const { methods: named = {}, allow = [], ...rest } = given;
  for (const key of Object.keys(rest)) wrong(`manifest: unknown key "${key}"`);
  if (!isTextMap(named)) wrong('manifest.methods must map names to "METHOD /path"');
  else {
    for (const [name, text] of Object.entries(named)) {
      const [method = '', path = ''] = text.split(' ');
      if (!/^[a-zA-Z]\w{0,62}$/.test(name) || !VERBS.test(method) || !path.startsWith('/'))
        wrong(`manifest.methods.${name}: "${text}" is not "METHOD /path"`);
      else methods[name] = { method, path };
    }
  }
  if (!isTexts(allow) || allow.some((rule) => !/^(\*|[A-Z]+) \/\S*$/.test(rule)))
    wrong('manifest.allow must be a list of "METHOD /prefix" ("*" for any method)');
  return { methods, allow: isTexts(allow) ? allow : [] };
}
