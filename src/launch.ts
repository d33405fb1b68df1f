/**
 * `launch()` in a module's own main block serves that module from its queue, with the options of `isolambda run`
 * on its command line:
 *
 *     import { launch } from 'isolambda';
 *     export const QUEUE_NAME = 'texts';
 *     export function lambda_handler(event, context) { ... }
 *     if (import.meta.main) await launch();
 *
 * Inside an isolate, where the module is served, `launch` does nothing. Sets the exit code; returns once it serves.
 */
export async function launch(args: readonly string[] = process.argv.slice(2)): Promise<void> {
  const module = process.argv[1];
  if (module === undefined)
    throw new Error('launch() must be called from a module that Node was started with');
  const { runCommandLine } = await import('./cli/command-line.ts');
  await runCommandLine(['run', module, ...args]);
}
