/**
 * The arrow of imports: down the list in docs/architecture.md, never up.
 * Each folder names what it may import besides itself and packages.
 */
const MAY = {
  'src/cli': [
    'src/client',
    'src/archive',
    'src/amqp',
    'src/app.ts',
    'src/walls.ts',
    'src/run.ts',
    'src/config',
    'src/errors',
  ],
  'src/client': ['src/amqp', 'src/schemas', 'src/errors'],
  'src/gateway': ['src/amqp', 'src/tasks', 'src/invoke', 'src/registry', 'src/schemas', 'src/errors'],
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
  'src/tasks': ['src/invoke', 'src/registry', 'src/store', 'src/errors'],
  'src/invoke': ['src/admission', 'src/pool', 'src/registry', 'src/errors'],
  'src/admission': ['src/config', 'src/errors'],
  'src/pool': ['src/protocol', 'src/services', 'src/config', 'src/errors'],
  'src/services': ['src/config', 'src/errors'],
  'src/registry': ['src/store', 'src/errors'],
  'src/archive': ['src/store', 'src/config', 'src/errors'],
  'src/store': ['src/config', 'src/errors'],
  // The link to a broker, which the gateway and the RPC client share.
  'src/amqp': ['src/errors'],
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
