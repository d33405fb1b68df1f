/** Parameters on the wire, as the deployer takes them. */
import type { ParametersPatch, Upload } from '../deploy/types.ts';
import { IsolambdaError } from '../errors/error.ts';
import type { AmqpParameters } from '../registry/types.ts';
import { jsonProblem } from '../schemas/check.ts';
import type { DeployParameters, LambdaParameters, LambdaPatch } from '../schemas/index.ts';
import type { ManagementApiOptions } from './options.ts';
import { present } from './present.ts';

export const MAX_USER_CONFIG_BYTES = 256 * 1024;
export const MAX_USER_CONFIG_DEPTH = 64;

type WireParameters = LambdaParameters & LambdaPatch;

export const uploadParameters = (given: LambdaParameters): Upload['parameters'] => ({
  ...present({ type: given.lambda_type, handler: given.handler }),
  ...ownerParameters(given),
});

export function uploadDeployParameters(
  deploy: DeployParameters = {},
  debugErrors?: boolean,
): Upload['deployParameters'] {
  const { instances, env, egress, ...limits } = deploy;
  return present({
    instances,
    env,
    egress,
    debugErrors,
    limits: Object.keys(limits).length > 0 ? limits : undefined,
  });
}

export function parametersPatch(given: LambdaPatch): ParametersPatch {
  const deployParameters = uploadDeployParameters(given.deploy_parameters, given.debug_errors);
  return {
    ...ownerParameters(given),
    ...(Object.keys(deployParameters).length > 0 ? { deployParameters } : {}),
  };
}

function ownerParameters(given: WireParameters) {
  const { name, description, shared, routes_auth: routesAuth, user_config: userConfig } = given;
  if (userConfig !== undefined) checkUserConfig(userConfig, 'user_config');
  return present({ name, description, shared, routesAuth, amqp: amqpParameters(given.amqp), userConfig });
}

/** `true` is a queue with all defaults; `false` and null are none. */
function amqpParameters(given: WireParameters['amqp']): AmqpParameters | null | undefined {
  if (given === undefined || given === null) return given;
  if (typeof given === 'boolean') return given ? {} : null;
  const { dead_letter: deadLetter, ...rest } = given;
  return present({ ...rest, deadLetter });
}

/** Throws `bad_request` with each rule that is wrong. */
export function checkEgress(
  rules: readonly string[] | undefined,
  problemsOf: ManagementApiOptions['egressProblems'],
): void {
  const problems = rules === undefined ? [] : (problemsOf?.(rules) ?? []);
  if (problems.length > 0) throw new IsolambdaError('bad_request', problems.join('; '), { problems });
}

/** The host keeps it, serialises it and sends it into isolates: it is bounded in bytes and in depth. */
export function checkUserConfig(config: unknown, where: string): void {
  const problem = jsonProblem(config, { maxDepth: MAX_USER_CONFIG_DEPTH });
  if (problem !== undefined) throw new IsolambdaError('bad_request', `${where} ${problem}`);
  const bytes = Buffer.byteLength(JSON.stringify(config));
  if (bytes > MAX_USER_CONFIG_BYTES)
    throw new IsolambdaError(
      'bad_request',
      `${where} is ${bytes} bytes of JSON: ${MAX_USER_CONFIG_BYTES} is the most`,
    );
}
