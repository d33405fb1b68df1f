import type { LambdaType } from '../views.ts';

type Files = Readonly<Record<string, string>>;

/** The files of a new lambda that its type decides: code, configuration, test. They are meant to be edited. */
export function lambdaFiles(type: LambdaType): Files {
  const { code, test } = TEMPLATES[type];
  return {
    'lambda_main.ts': code,
    'lambda_config.yml': CONFIG,
    // JavaScript: the folder has no types of Node, and a test of this size needs none.
    'test/lambda_main.test.js': test,
  };
}

const CONFIG = `# What the code reads as lambdaConfig. It is part of the archive: a change needs a new deploy.
greeting: Hello
`;

const NAME_TOO_LONG = `// Thrown, it becomes the reply: this status, and errorText as its detail.
class NameTooLong extends UserException {
  static statusCode = 400;
  static errorText = 'a name has 100 letters at most';
}`;

const httpTest = (type: LambdaType): string => `import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestRequest, invoke } from 'lambda-tools/testing';
import * as lambda from '../lambda_main.ts';

const call = (json) => invoke(lambda, createTestRequest({ json }), { type: '${type}' });

test('greets by name', async () => {
  const reply = await call({ name: 'Ada' });
  assert.equal(reply.statusCode, 200);
  assert.equal(reply.json.greeting, 'Hello, Ada!');
});
`;

const REFUSAL_TEST = `
test('refuses a name that is too long', async () => {
  const reply = await call({ name: 'x'.repeat(101) });
  assert.equal(reply.statusCode, 400);
});
`;

const TEMPLATES: Readonly<Record<LambdaType, { readonly code: string; readonly test: string }>> = {
  standalone: {
    code: `import { lambdaConfig, logger, UserException, type StandaloneLambdaRequest } from 'lambda-tools';

${NAME_TOO_LONG}

// POST .../proxy/main
export async function main(request: StandaloneLambdaRequest) {
  const { name = 'world' } = (request.json ?? {}) as { name?: string };
  if (name.length > 100) throw new NameTooLong();
  logger.info('greeting %s', name);
  return { greeting: \`\${lambdaConfig.greeting ?? 'Hello'}, \${name}!\` };
}
`,
    test: httpTest('standalone') + REFUSAL_TEST,
  },
  handlers: {
    code: `import { lambdaConfig, logger, UserException, type HandlersLambdaRequest } from 'lambda-tools';

${NAME_TOO_LONG}

// POST .../proxy/main, with the header Luna-Handler-Id
export async function main(request: HandlersLambdaRequest) {
  const { name = 'world' } = (request.data ?? {}) as { name?: string };
  if (name.length > 100) throw new NameTooLong();
  logger.info('handler %s greets %s', request.handlerId, name);
  return { greeting: \`\${lambdaConfig.greeting ?? 'Hello'}, \${name}!\`, handler: request.handlerId ?? null };
}
`,
    test: httpTest('handlers') + REFUSAL_TEST,
  },
  rpc: {
    code: `import { lambdaConfig, type RpcContext } from 'lambda-tools';

// The queue that it is served from, where its parameters ask for that: deploy --param '{"amqp": true}'
export const QUEUE_NAME = 'greetings';

// Called for each message; and for POST .../proxy/main, with its body as the event.
export async function lambda_handler(event: { name?: string } | null, context: RpcContext) {
  const name = event?.name ?? 'world';
  context.logger.info('greeting %s', name);
  return { greeting: \`\${lambdaConfig.greeting ?? 'Hello'}, \${name}!\` };
}
`,
    test: httpTest('rpc'),
  },
  tasks: {
    code: `import { BaseLambdaTask, UserTaskLambdaException } from 'lambda-tools/tasks';

// A task's content is split into parts; each part is executed on its own, and its result kept.
export class LambdaTask extends BaseLambdaTask {
  async splitTasksContent(content: Record<string, unknown>) {
    const { texts } = content as { texts?: unknown };
    if (!Array.isArray(texts)) throw new UserTaskLambdaException('expected {"texts": ["...", ...]}');
    return texts.map((text) => ({ text: String(text) }));
  }

  async executeSubtask(subtaskContent: Record<string, unknown>) {
    const { text } = subtaskContent as { text: string };
    this.logger.info('counting %d letters', text.length);
    return { words: text.split(/\\s+/).filter(Boolean).length };
  }
}
`,
    test: `import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LambdaTask } from '../lambda_main.ts';

test('counts the words of each text', async () => {
  const task = new LambdaTask({ taskId: 1, subtaskId: 1, accountId: 'a', requestId: 'r' });
  const parts = await task.splitTasksContent({ texts: ['one', 'two words'] });
  assert.equal(parts.length, 2);
  assert.deepEqual(await task.executeSubtask(parts[1]), { words: 2 });
});
`,
  },
};
