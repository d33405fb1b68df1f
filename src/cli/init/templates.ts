import type { LambdaType } from '../views.ts';

type Files = Readonly<Record<string, string>>;

/** The files of a new lambda that its type decides: code, configuration, test. They are meant to be edited. */
export function lambdaFiles(type: LambdaType): Files {
  switch (type) {
    case 'standalone':
      return { 'lambda_main.ts': STANDALONE, 'lambda_config.yml': CONFIG, [TEST_PATH]: STANDALONE_TEST };
    case 'handlers':
      return { 'lambda_main.ts': HANDLERS, 'lambda_config.yml': CONFIG, [TEST_PATH]: STANDALONE_TEST };
    case 'rpc':
      return { 'lambda_main.ts': RPC, 'lambda_config.yml': CONFIG, [TEST_PATH]: RPC_TEST };
    case 'tasks':
      return { 'lambda_main.ts': TASKS, 'lambda_config.yml': CONFIG, [TEST_PATH]: TASKS_TEST };
  }
}

/** JavaScript: a lambda's folder has no types of Node, and needs none for this. */
const TEST_PATH = 'test/lambda_main.test.js';

const CONFIG = `# What the code reads as lambdaConfig. It is part of the archive: a change needs a new deploy.
greeting: Hello
`;

const GREET = `class NameTooLong extends UserException {
  static statusCode = 400;
  static errorText = 'a name has 100 letters at most';
}
`;

const STANDALONE = `import { lambdaConfig, logger, UserException, type StandaloneLambdaRequest } from 'lambda-tools';

// Thrown, it is the reply: this status, and errorText as its detail.
${GREET}
// POST .../proxy/main
export async function main(request: StandaloneLambdaRequest) {
  const { name = 'world' } = (request.body ? request.json : {}) as { name?: string };
  if (name.length > 100) throw new NameTooLong();
  logger.info('greeting %s', name);
  return { greeting: \`\${lambdaConfig['greeting']}, \${name}!\` };
}
`;
const HANDLERS = STANDALONE;
const RPC = '';
const TASKS = '';
const STANDALONE_TEST = '';
const RPC_TEST = '';
const TASKS_TEST = '';
