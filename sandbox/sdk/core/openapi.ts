import type { RoutePattern } from './routes.ts';

export interface DescribedRoute {
  readonly pattern: RoutePattern;
  /** In lower case. */
  readonly methods: readonly string[];
  readonly name: string;
}

const TYPES: Readonly<Record<string, object>> = {
  int: { type: 'integer' },
  float: { type: 'number' },
  number: { type: 'number' },
  uuid: { type: 'string', format: 'uuid' },
  ymd: { type: 'string', format: 'date' },
  alpha: { type: 'string', pattern: '^[A-Za-z]+$' },
  slug: { type: 'string', pattern: '^[a-z0-9]+(?:-[a-z0-9]+)*$' },
};

const reply = (description: string, schema: object = {}): object => ({
  '200': { description, content: { 'application/json': { schema } } },
  default: {
    description: 'An error',
    content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
  },
});

/** OpenAPI 3.1 of one lambda: its default routes and those that it adds. */
export function describeLambda(
  lambda: { readonly lambdaId: string; readonly version: number; readonly type: string },
  routes: readonly DescribedRoute[],
): object {
  const paths: Record<string, Record<string, object>> = {
    '/main': {
      post: {
        operationId: 'main',
        summary: 'Main route',
        requestBody: {
          content: { 'application/json': { schema: {} }, 'application/octet-stream': { schema: {} } },
        },
        responses: reply('What main returned'),
      },
    },
    '/healthcheck': {
      get: { operationId: 'healthcheck', responses: reply('The lambda runs', { type: 'object' }) },
    },
    '/config': {
      get: {
        operationId: 'config',
        responses: reply('The user configuration, with secrets masked', { type: 'object' }),
      },
    },
    '/docs/spec': { get: { operationId: 'spec', responses: reply('This document', { type: 'object' }) } },
  };
  for (const { pattern, methods, name } of routes) {
    const parameters = pattern.parameters.map((parameter) => ({
      name: parameter.name,
      in: 'path',
      required: true,
      schema: TYPES[parameter.type] ?? {
        type: 'string',
        ...(parameter.type === 'regex' ? { pattern: `^${parameter.regex}$` } : {}),
      },
    }));
    const path = (paths[pattern.template] ??= {});
    for (const method of methods) {
      path[method] = {
        operationId: `${name}.${method}`,
        ...(parameters.length > 0 ? { parameters } : {}),
        ...(['post', 'put', 'patch'].includes(method)
          ? { requestBody: { content: { 'application/json': { schema: {} } } } }
          : {}),
        responses: reply('What the handler returned'),
      };
    }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: `Lambda ${lambda.lambdaId}`,
      version: String(lambda.version),
      description: `A ${lambda.type} lambda`,
    },
    paths,
    components: {
      schemas: {
        Error: {
          type: 'object',
          required: ['error_code', 'desc', 'detail', 'link'],
          properties: {
            error_code: { type: 'integer' },
            desc: { type: 'string' },
            detail: { type: 'string' },
            link: { type: 'string' },
          },
        },
      },
    },
  };
}
