import { paint } from '../terminal.ts';
import { call, createActor, deploy, folderFiles, operatorOf, packageFiles, type Deployed } from './actors.ts';
import { line, showCall, step } from './scene.ts';

/** A fifth of the default: nobody wants to watch a loop. */
const LOOP_CPU_MS = 200;
const MARKDOWN = '# Hello\n\nfrom *isolambda*';

export interface Shown {
  readonly modules: Deployed;
  readonly markdown: Deployed;
}

/** What the quickstart shows. Every reply is checked: it ends with an error where one is not as promised. */
export async function tour(origin: string, dataDir: string): Promise<Shown> {
  const operator = operatorOf(origin, dataDir);
  const alice = await createActor(operator, 'alice');
  const bob = await createActor(operator, 'bob');
  step('Make two accounts', 'alice and bob, each with a token of its own; neither sees what is the other’s');

  const modules = await deploy(alice, 'modules', folderFiles('modules'));
  step('alice deploys modules', `four TypeScript modules and a lambda_config.yml (${modules.about})`);
  showCall(await call(modules, 200));

  const markdown = await deploy(bob, 'markdown', [...folderFiles('markdown'), ...packageFiles('marked')]);
  step('bob deploys markdown', `with the npm package marked in its archive (${markdown.about})`);
  showCall(await call(markdown, 200, { markdown: MARKDOWN }));

  const loop = await deploy(bob, 'loop', folderFiles('loop'), { cpu_ms: LOOP_CPU_MS });
  step('bob deploys loop', `for (;;); and a CPU limit of ${LOOP_CPU_MS} ms a call (${loop.about})`);
  // Both at once: the loop must not hold up the other account.
  const [error, meanwhile] = await Promise.all([call(loop, 504), call(modules, 200)]);
  showCall(error);
  line(`  ${paint('dim', 'while it looped, alice was served as before:')}`);
  showCall(meanwhile);
  line(`  ${paint('dim', 'and so is bob’s other lambda, after it:')}`);
  showCall(await call(markdown, 200, { markdown: '*still here*' }));
  return { modules, markdown };
}

/** The curl lines to try while the host stays up. */
export function sayHowToGoOn(origin: string, dataDir: string, { modules, markdown }: Shown): void {
  const curl = (lambda: Deployed, body?: unknown): string =>
    [
      `curl -X POST ${origin}/1/lambdas/${lambda.id}/proxy/main`,
      `-H 'Authorization: Bearer ${lambda.owner.token}'`,
      ...(body === undefined ? [] : [`-H 'Content-Type: application/json'`, `-d '${JSON.stringify(body)}'`]),
    ].join(' \\\n    ');
  line(
    `\n${paint('green', '✓')} ${paint('bold', 'The host stays up: try it.')} Ctrl-C stops it and removes its data.\n`,
  );
  line(`  ${curl(modules)}\n`);
  line(`  ${curl(markdown, { markdown: '- your\n- text' })}\n`);
  line(`  ${paint('dim', '# your own lambda, from another terminal:')}`);
  line(`  node src/cli/bin.js init my-lambda`);
  line(`  node src/cli/bin.js deploy my-lambda --data-dir ${dataDir} --account alice`);
  line(`  node src/cli/bin.js invoke my-lambda --data-dir ${dataDir} --account alice -d '{"name": "Ada"}'\n`);
  line(`  The API: ${origin}/docs`);
}
