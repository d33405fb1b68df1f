/** The OpenAPI document, made from the routes' schemas. */
import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { SCOPE_MEANINGS, SCOPES } from '../../schemas/scopes.ts';
import type { Access } from '../asker.ts';
import { PROXY_PATHS } from './proxy-paths.ts';
import '../route-config.ts';

const DESCRIPTION = [
  'Runs the small TypeScript and JavaScript lambdas of many accounts.',
  '',
  "A token belongs to an account, or to the operator. What is another account's does not exist: 404.",
  'The operator acts for an account by the header `Luna-Account-Id` or the query parameter `account_id`.',
  '',
  'Scopes of a token:',
  ...SCOPES.map((scope) => `- \`${scope}\`: ${SCOPE_MEANINGS[scope]}`),
  '',
  'Every reply carries `Luna-Request-Id`, given or made. Error codes are explained at [/docs/errors](/docs/errors).',
].join('\n');

const TAGS = [
  { name: 'lambdas', description: 'Deploy and manage lambdas' },
  { name: 'versions', description: 'Versions, builds, archives' },
  { name: 'configuration', description: "A lambda's user configuration" },
  { name: 'tasks', description: 'Work of tasks lambdas, in parts, that survives' },
  { name: 'logs', description: "A lambda's log" },
  { name: 'invoke', description: 'Call lambdas' },
  { name: 'accounts', description: 'Accounts, quota and usage' },
  { name: 'tokens', description: 'Tokens of an account' },
  { name: 'host', description: 'The host itself' },
];

/** To be registered before the routes that the document shows. */
export async function documentRoutesOf(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'isolambda',
        version,
        description: DESCRIPTION,
        license: { name: 'MIT', identifier: 'MIT' },
      },
      tags: TAGS,
      components: {
        securitySchemes: {
          token: { type: 'http', scheme: 'bearer', description: "An account's token, or the operator's." },
        },
      },
      security: [{ token: [] }],
      paths: PROXY_PATHS,
    },
    transform: ({ schema, url, route }) => {
      const { access, documentedBody: body } = route.config ?? {};
      return {
        url,
        schema: {
          ...schema,
          ...(access === 'public' ? { security: [] } : {}),
          ...(access === undefined || access === 'public'
            ? {}
            : { description: [schema.description, needs(access)].filter(Boolean).join('\n\n') }),
          // A body that the handler reads has no schema for Fastify to check, but it has one to show.
          ...(body === undefined ? {} : { body }),
        },
      };
    },
    refResolver: {
      buildLocalReference: (json, _baseUri, _fragment, index) => nameOf(json) ?? `def-${index}`,
    },
  });
}

const nameOf = ({ $id }: { $id?: unknown }): string | undefined =>
  typeof $id === 'string' ? $id : undefined;

const needs = (access: Exclude<Access, 'public'>): string =>
  access === 'operator'
    ? "For the operator's token only."
    : `Needs the scope ${[access]
        .flat()
        .map((scope) => `\`${scope}\``)
        .join(' or ')}.`;
