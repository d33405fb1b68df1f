import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LambdaApi } from '../../client/lambda-api.ts';
import { CommandError } from '../command-error.ts';
import { collectFolder, collectPackage, type FolderFile } from '../folder/collect.ts';
import { zipFiles } from '../folder/zip.ts';
import { sizeText } from '../terminal.ts';
import type { DeployParameters } from '../views.ts';
import { since, type ShownCall } from './scene.ts';

export const FIXTURES = fileURLToPath(new URL('../../../fixtures/quickstart/', import.meta.url));

/** An account, and its own client. */
export interface Actor {
  readonly name: string;
  readonly token: string;
  readonly api: LambdaApi;
}

export interface Deployed {
  readonly owner: Actor;
  readonly name: string;
  readonly id: string;
  /** Size, and how long it took. */
  readonly about: string;
}

export function operatorOf(origin: string, dataDir: string): LambdaApi {
  return new LambdaApi({ origin, token: readFileSync(join(dataDir, 'operator.token'), 'utf8').trim() });
}

export async function createActor(operator: LambdaApi, name: string): Promise<Actor> {
  const { account_id: accountId } = (await operator.createAccount({ name })).json;
  const { token } = (await operator.createToken(accountId, { scopes: ['deploy', 'invoke'] })).json;
  return { name, token, api: new LambdaApi({ origin: operator.origin, token }) };
}

export const folderFiles = (name: string): FolderFile[] => collectFolder(join(FIXTURES, name));

/** A package from our own node_modules, as `npm install` would have put it into the lambda's folder. */
export const packageFiles = (name: string): FolderFile[] =>
  collectPackage(dirname(fileURLToPath(import.meta.resolve(`${name}/package.json`))), `node_modules/${name}`);

export async function deploy(
  owner: Actor,
  name: string,
  files: readonly FolderFile[],
  deployParameters: DeployParameters = {},
): Promise<Deployed> {
  const started = performance.now();
  const archive = zipFiles([...files].sort((a, b) => (a.path < b.path ? -1 : 1)));
  const parameters = { lambda_type: 'standalone', name } as const;
  const created = (await owner.api.createLambda({ archive, parameters, deployParameters })).json;
  await owner.api.waitUntilRunning(created.lambda_id, { version: created.version });
  const about = `${files.length} ${files.length === 1 ? 'file' : 'files'}, ${sizeText(archive.length)}; running ${since(started)} after the upload began`;
  return { owner, name, id: created.lambda_id, about };
}

/** Calls `main`. The quickstart promises what comes back, so another status ends it. */
export async function call(lambda: Deployed, expected: number, body?: unknown): Promise<ShownCall> {
  const started = performance.now();
  const reply = await lambda.owner.api.proxyLambdaPost({ lambdaId: lambda.id, path: 'main', body });
  const took = since(started);
  if (reply.statusCode !== expected)
    throw new CommandError(
      'failed',
      `${lambda.name} answered ${reply.statusCode}, not ${expected}: ${reply.text}`,
    );
  return {
    who: lambda.owner.name,
    lambda: lambda.name,
    body,
    status: reply.statusCode,
    took,
    reply: reply.text,
  };
}
