/** The way into a lambda, for the reference: the gateway serves it, past the checks of this API. */
const METHODS = ['get', 'post', 'put', 'patch', 'delete', 'head', 'options'] as const;

const PARAMETERS = [
  { name: 'lambda_id', in: 'path', required: true, schema: { type: 'string' } },
  {
    name: 'path',
    in: 'path',
    required: true,
    description: '`main`, `healthcheck`, `docs/spec`, `config`, or an added route; it may hold slashes.',
    schema: { type: 'string' },
    example: 'main',
  },
];

const failed = (description: string) => ({
  description,
  content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
});

const ANY = { '*/*': { schema: {} } };

const operation = (method: (typeof METHODS)[number]) => ({
  operationId: `proxyLambda${method[0]!.toUpperCase()}${method.slice(1)}`,
  tags: ['invoke'],
  summary: `${method.toUpperCase()} into a lambda`,
  description:
    'Headers and body reach the lambda as they are, and its reply comes back as it is, with `Lambda-Version` and `Luna-Request-Id`. ' +
    'A lambda whose `routes_auth` is `public` needs no token.',
  parameters: PARAMETERS,
  ...(method === 'get' || method === 'head' || method === 'options' ? {} : { requestBody: { content: ANY } }),
  responses: {
    default: { description: 'What the lambda replied.', content: ANY },
    401: failed('`43034` Authentication required'),
    404: failed('`42001` Lambda not found; `43017` Route not found'),
    409: failed('`43010` Lambda is disabled; `43011` Lambda is not ready'),
    413: failed('`43007` Request body too large'),
    429: failed('`43004` Rate limit exceeded; `43005` Concurrency limit exceeded; `43006` Queue is full'),
    500: failed('`42004` Lambda exception; `43015` Reply cannot be serialised; `43000` Internal error'),
    502: failed('`43008` Reply too large; `43016` Reply is not valid HTTP'),
    503: failed(
      '`43009` Runner lost; `43012` Host is shutting down; `43013` Isolate lost; `43019` Lambda failed to start; `43020` Lambda is quarantined',
    ),
    504: failed('`43001` Invocation timed out; `43002` CPU limit exceeded'),
    507: failed('`43003` Memory limit exceeded'),
  },
});

export const PROXY_PATHS = {
  '/1/lambdas/{lambda_id}/proxy/{path}': Object.fromEntries(
    METHODS.map((method) => [method, operation(method)]),
  ),
};
