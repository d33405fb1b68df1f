import { limitProblems, type Limits } from '../config/limits.ts';
import { IsolambdaError } from '../errors/error.ts';
import type { DeployParameters, LambdaParameters } from '../store/types.ts';
import type { ParametersPatch, Upload } from './types.ts';

/** Of a user configuration, as JSON: it is sent to each isolate, and held for each lambda. */
export const USER_CONFIG_BYTES = 256 * 1024;
/** Of all environment variables of a lambda, names and values. */
export const ENV_BYTES = 64 * 1024;
const MAX_INSTANCES = 64;

/** What an update brings along: applied when its version begins to serve. */
export interface Settings {
  readonly parameters: Partial<LambdaParameters>;
  readonly deployParameters: Partial<DeployParameters>;
  /** Absent: as it is. */
  readonly userConfig?: unknown;
}

const DEFAULT_PARAMETERS: Omit<LambdaParameters, 'name'> = {
  description: '',
  type: 'standalone',
  handler: null,
  shared: false,
  routesAuth: 'account',
  amqp: null,
};
export const DEFAULT_DEPLOY: DeployParameters = { instances: 1, env: {}, debugErrors: false, limits: {} };

/** Parameters of a new lambda, complete. */
export function parametersOf(given: Settings, lambdaId: string): LambdaParameters {
  return { ...DEFAULT_PARAMETERS, name: `lambda-${lambdaId.slice(0, 8)}`, ...given.parameters };
}

/** The part of an upload beside its archive, checked. Error `bad_request` with each problem. */
export function settingsOf({
  parameters,
  deployParameters,
}: Pick<Upload, 'parameters' | 'deployParameters'>): Settings {
  const { userConfig, ...rest } = parameters;
  check(userConfig, deployParameters);
  const settings = { parameters: given(rest), deployParameters: given(deployParameters) };
  return userConfig === undefined ? settings : { ...settings, userConfig };
}

/** A patch, checked, in the same form. */
export function settingsOfPatch({
  userConfig,
  deployParameters = {},
  ...parameters
}: ParametersPatch): Settings {
  check(userConfig, deployParameters);
  const settings = { parameters: given(parameters), deployParameters: given(deployParameters) };
  return userConfig === undefined ? settings : { ...settings, userConfig };
}

/** What is undefined was not given: it must not hide a default. */
function given<T extends object>(values: T): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T;
}

function check(userConfig: unknown, { instances, env, limits }: Partial<DeployParameters>): void {
  const problems: string[] = limits === undefined ? [] : limitProblems({ ...given(limits) }, 'lambda');
  if (instances !== undefined && (!Number.isInteger(instances) || instances < 1 || instances > MAX_INSTANCES))
    problems.push(`instances is ${instances}: it must be a whole number from 1 to ${MAX_INSTANCES}`);
  if (env !== undefined) {
    const bytes = Object.entries(env).reduce(
      (sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value),
      0,
    );
    if (bytes > ENV_BYTES) problems.push(`env has ${bytes} bytes: the most is ${ENV_BYTES}`);
  }
  if (userConfig !== undefined) problems.push(...userConfigProblems(userConfig));
  if (problems.length > 0) throw new IsolambdaError('bad_request', problems.join('; '), { problems });
}

function userConfigProblems(userConfig: unknown): string[] {
  if (typeof userConfig !== 'object' || userConfig === null || Array.isArray(userConfig))
    return ['user_config must be a JSON object'];
  const bytes = Buffer.byteLength(JSON.stringify(userConfig));
  return bytes > USER_CONFIG_BYTES
    ? [`user_config has ${bytes} bytes: the most is ${USER_CONFIG_BYTES}`]
    : [];
}

/** Before it is built, so that nothing of it is written. */
export function checkArchiveSize(archive: Uint8Array, { archive_bytes }: Limits): void {
  if (archive.byteLength > archive_bytes)
    throw new IsolambdaError(
      'archive_too_large',
      `the archive has ${archive.byteLength} bytes; archive_bytes is ${archive_bytes}`,
    );
}
