/**
 * The arrow of imports: down the list in docs/architecture.md, never up.
 * Each folder names what it may import besides itself and packages.
 */
const MAY = {
  'src/cli': ['src/client', 'src/archive', 'src/app.ts', 'src/config', 'src/errors'],
  'src/client': [
    'src/schemas',
    'src/errors',
    // RpcClient and the gateway reach the broker by the same URL rules and the same link.
    'src/gateway/amqp/url.ts',
    'src/gateway/amqp/connection.ts',
    'src/gateway/amqp/write-batching.ts',
  ],
  'src/gateway': ['src/invoke', 'src/registry', 'src/schemas', 'src/errors'],
  'src/api': [
    'src/deploy',
    'src/registry',
    'src/archive',
    'src/tasks',
    'src/store',
    'src/schemas',
    'src/errors',
  ],
  'src/deploy': ['src/pool', 'src/registry', 'src/archive', 'src/store', 'src/errors'],
  'src/tasks': ['src/invoke', 'src/store', 'src/errors'],
  'src/invoke': ['src/admission', 'src/pool', 'src/registry', 'src/errors'],
  'src/admission': ['src/config', 'src/errors'],
  'src/pool': ['src/protocol', 'src/services', 'src/config', 'src/errors'],
  'src/services': ['src/config', 'src/errors'],
  'src/registry': ['src/store', 'src/errors'],
  'src/archive': ['src/store', 'src/config', 'src/errors'],
  'src/store': ['src/config', 'src/errors'],
  'src/telemetry': ['src/config'],
  'src/schemas': [],
  'src/config': [],
  'src/errors': [],
  'src/protocol': [],
  'sandbox/runner': ['src/protocol', 'sandbox/bridge'],
  'sandbox/bridge': ['src/protocol'],
  'sandbox/guest': ['sandbox/sdk', 'sandbox/bridge/wire.ts'],
  'sandbox/sdk': [],
};
// What every part may name: the shapes of messages, options, errors and telemetry.
const COMMON = ['src/protocol', 'src/config', 'src/errors', 'src/telemetry'];
const isHost = (folder) => folder.startsWith('src/');
const below = {
  'src/protocol': [],
  'src/config': ['src/protocol'],
  'src/errors': ['src/protocol'],
  'src/schemas': ['src/protocol', 'src/config', 'src/errors'],
  'src/telemetry': ['src/protocol', 'src/config', 'src/errors'],
};

module.exports = {
  forbidden: [
    ...Object.entries(MAY).map(([folder, allowed]) => {
      const reach = below[folder] ?? (isHost(folder) ? [...allowed, ...COMMON] : allowed);
      return {
        name: `arrow:${folder}`,
        comment: `${folder} may import ${reach.join(', ') || 'nothing'} only`,
        severity: 'error',
        from: { path: `^${folder}/` },
        to: {
          path: '^(src|sandbox|test|bench|fixtures)/',
          pathNot: [folder + '/', ...reach.map((r) => (r.endsWith('.ts') ? r : r + '/'))].map((p) => `^${p}`),
        },
      };
    }),
    {
      name: 'only-the-runner-has-isolates',
      severity: 'error',
      from: { pathNot: '^(sandbox/runner/|test/|bench/)' },
      to: { path: 'node_modules/isolated-vm' },
    },
    {
      name: 'guest-has-no-node',
      severity: 'error',
      from: { path: '^sandbox/(guest|sdk)/' },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      to: { circular: true, dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    exclude: { path: '^(dist|data)/' },
  },
};
